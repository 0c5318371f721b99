use serde_json::json;

use super::*;

#[test]
fn selectors_that_mean_the_same_are_no_change() {
    let server = json!(["label.site = zrh", "fact.os.type in (darwin, linux)"]);
    for same in [
        json!(["label.site=zrh", "fact.os.type in (linux,darwin)"]),
        json!(["site = zrh", "os.type in (linux, darwin)"]),
        server.clone(),
    ] {
        assert!(means_the_same(&server, &same), "{same}");
    }
    for other in [
        json!(["label.site = zrh"]),
        json!(["fact.site = zrh", "fact.os.type in (darwin, linux)"]),
        json!(["label.site = gva", "fact.os.type in (darwin, linux)"]),
    ] {
        assert!(!means_the_same(&server, &other), "{other}");
    }
}

#[test]
fn removing_the_last_layer_says_what_it_withdraws() {
    let known = PresentGroup {
        fields: json!({"layers": ["base"], "priority": 1})
            .as_object()
            .unwrap()
            .clone(),
        revision: 3,
        members: 12,
        in_force: true,
    };
    let file = |fields: Value| GroupFile {
        path: "groups/edge.toml".into(),
        fields: fields.as_object().unwrap().clone(),
        lines: BTreeMap::new(),
    };
    let step = group("edge", &file(json!({"layers": []})), Some(&known))
        .unwrap()
        .unwrap();
    assert_eq!(
        step.diff,
        [
            "-layers = [\"base\"]",
            "+layers = []",
            "withdraws what is published to it; hosts keep what they run: 12"
        ]
    );
    assert!(matches!(step.act, Act::ChangeGroup(_, 3)));
    // What isn't stated stays.
    assert!(
        group("edge", &file(json!({"priority": 1})), Some(&known))
            .unwrap()
            .is_none()
    );
}
