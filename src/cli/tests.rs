use std::fmt::Write as _;

use super::*;

#[test]
fn the_help_of_every_verb_reads_well() {
    let mut root = command().term_width(100);
    root.build();
    let mut help = root.render_long_help().to_string();
    for verb in root
        .get_subcommands_mut()
        .filter(|verb| verb.get_name() != "help" && !verb.has_subcommands())
    {
        let name = verb.get_name().to_owned();
        let _ = write!(help, "\n\n---- muster {name} ----\n\n{}", verb.render_long_help());
    }
    insta::assert_snapshot!(help);
}

#[test]
fn the_help_of_every_verb_with_acts_reads_well() {
    let mut root = command().term_width(100);
    root.build();
    for verb in root
        .get_subcommands_mut()
        .filter(|verb| verb.get_name() != "help" && verb.has_subcommands())
    {
        let name = verb.get_name().to_owned();
        let mut help = verb.render_long_help().to_string();
        for act in verb.get_subcommands_mut().filter(|act| act.get_name() != "help") {
            let _ = write!(
                help,
                "\n\n---- muster {name} {} ----\n\n{}",
                act.get_name().to_owned(),
                act.render_long_help()
            );
        }
        insta::assert_snapshot!(format!("help_of_{name}"), help);
    }
}

#[test]
fn no_two_flags_clash() {
    command().debug_assert();
}

#[test]
fn the_exit_code_tells_what_kind_of_failure_it_was() {
    let unreachable = ClientError::NotRunning { socket: "x".into() };
    assert_eq!(
        exit_code(&anyhow::Error::new(unreachable).context("making a token")),
        3
    );
    assert_eq!(exit_code(&anyhow::Error::new(Problems(Vec::new()))), 2);
    assert_eq!(exit_code(&anyhow::anyhow!("else")), 1);
}
