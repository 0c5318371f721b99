//! What is pasted on a host, step by step. Every line pins this server's authority and none switches a check off; the
//! token never stands in a list of processes.

use super::Way;
use crate::app::join::{Joining, NoHost};

/// One thing to do on the host.
#[derive(Debug)]
pub struct Step {
    /// What it does.
    pub title: &'static str,
    /// More about it.
    pub words: &'static str,
    /// What to paste.
    pub code: String,
    /// What is copied, for the button.
    pub label: &'static str,
}

/// Where agents find this server. `called` is the host by which the browser reached it, with or without a port: good for
/// other hosts unless it means this one alone; then `names`, those of the server's certificate, are looked at. The
/// second value says that nothing better than this host's own name was found.
///
/// # Errors
/// [`NoHost`] when neither leads anywhere.
pub fn place(called: &str, names: &[String], port: u16, ca_pem: &str) -> Result<(Joining, bool), NoHost> {
    let called = match called.rsplit_once(':') {
        Some((host, digits)) if digits.chars().all(|c| c.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => called,
    };
    let is_local = |name: &str| matches!(name, "" | "localhost" | "127.0.0.1" | "::1" | "[::1]");
    let mut known = std::iter::once(called).chain(names.iter().map(String::as_str));
    let far = known.find(|name| !is_local(name));
    let host = far.unwrap_or("localhost");
    Ok((Joining::new(host, port, ca_pem)?, far.is_none()))
}

/// What to do on the host, in order.
#[must_use]
pub fn steps(way: Way, joining: &Joining, ca_pem: &str, secret: &str) -> Vec<Step> {
    match way {
        Way::Linux => vec![Step {
            title: "Paste this on the host.",
            words: "It asks for the password of sudo. It finds the Supervisor (opampsupervisor) and the Collector that are installed, or is told where they are: append --help to see how. What the host runs now keeps running, and becomes revision 1 of a config named after it.",
            code: joining.line(secret, ""),
            label: "the line to paste",
        }],
        Way::MacOs => vec![Step {
            title: "Paste this into a terminal of the Mac.",
            words: "It asks for the password of sudo. It finds the Supervisor (opampsupervisor) and the Collector that are installed, or is told where they are: append --help to see how. What the host collects now it is left to collect; stop that once a configuration was published to the new agent.",
            code: joining.macos_line(secret),
            label: "the line to paste",
        }],
        Way::Windows => vec![Step {
            title: "Paste this into PowerShell as an administrator.",
            words: "The Collector and the Supervisor have to be installed, such as by their installers. What the host collects now it is left to collect; stop that once a configuration was published to the new agent.",
            code: joining.windows_line(secret),
            label: "the line to paste",
        }],
        Way::Kubernetes => kubernetes(joining, ca_pem, secret),
        Way::Bridge => bridge(joining, ca_pem, secret),
        Way::Supervisor => vec![
            Step {
                title: "Make its user.",
                words: "What it collects it has to be able to read: add the user to groups such as adm as needed.",
                code: "useradd --system --user-group --no-create-home --home-dir /var/lib/muster-agent \\\n  --shell /usr/sbin/nologin muster-agent"
                    .to_owned(),
                label: "the command that makes the user",
            },
            authority(ca_pem, "mkdir -p /etc/muster-agent && cd /etc/muster-agent"),
            credential(joining, secret, "env"),
            Step {
                title: "Write its file.",
                words: "As /etc/muster-agent/supervisor.yaml; the paths of collector and storage are yours.",
                code: joining.supervisor_yaml(),
                label: "the Supervisor's file",
            },
            Step {
                title: "Let systemd run it.",
                words: "As /etc/systemd/system/muster-agent.service; then systemctl enable --now muster-agent. It starts its Collector once it is sent a configuration, so publish to its group, and stop the old service only then.",
                code: joining.unit(),
                label: "the unit",
            },
        ],
        Way::Container => vec![
            authority(ca_pem, "umask 022"),
            credential(joining, secret, "muster.env"),
            Step {
                title: "Add the extension to its configuration.",
                words: "It tells how the Collector is and what it runs. It takes no configuration: for that, run the Supervisor.",
                code: extension(joining),
                label: "the part of the configuration",
            },
            Step {
                title: "Give all three to the container.",
                words: "Any image of the Collector that contains the OpAMP extension, such as contrib.",
                code: "docker run -d --env-file muster.env -v \"$PWD/ca.pem:/etc/muster/ca.pem:ro\" \\\n  -v \"$PWD/config.yaml:/etc/otelcol-contrib/config.yaml:ro\" otel/opentelemetry-collector-contrib"
                    .to_owned(),
                label: "the command",
            },
        ],
        Way::Client => vec![
            authority(ca_pem, "umask 022"),
            credential(joining, secret, "muster.env"),
            Step {
                title: "Tell the client.",
                words: "How it takes address, header and authority is up to it.",
                code: joining.any_client(),
                label: "what the client has to know",
            },
        ],
    }
}

fn kubernetes(joining: &Joining, ca_pem: &str, secret: &str) -> Vec<Step> {
    vec![
            authority(ca_pem, "umask 022"),
            credential(joining, secret, "muster.env"),
            Step {
                title: "Write the manifests.",
                words: "As muster-agent.yaml. The Collector tells how it is and what it runs; its pipelines are yours.",
                code: joining.kubernetes(),
                label: "the manifests",
            },
            Step {
                title: "Apply them, and give them the credential.",
                words: "It speaks for as many pods as the token says. A pod that is gone keeps its record until it is archived.",
                code: "kubectl apply -f muster-agent.yaml\nkubectl -n muster-agent create secret generic muster-agent --from-env-file=muster.env"
                    .to_owned(),
                label: "the commands",
            },
        ]
}

fn bridge(joining: &Joining, ca_pem: &str, secret: &str) -> Vec<Step> {
    vec![
            authority(ca_pem, "umask 022"),
            credential(joining, secret, "muster.env"),
            Step {
                title: "Write its manifests.",
                words: "As bridge.yaml, in the namespace of the operator. Of the Collectors it may change those that carry the operator's label for that.",
                code: joining.kubernetes_bridge(),
                label: "the manifests",
            },
            Step {
                title: "Put its credential in, and apply them.",
                words: "The file holds the credential then: keep it where only you read it, or remove it.",
                code: "chmod 600 bridge.yaml\nsed -i \"s|CREDENTIAL|$(sed -n 's/^MUSTER_AGENT_TOKEN=//p' muster.env)|\" bridge.yaml\nkubectl apply -f bridge.yaml"
                    .to_owned(),
                label: "the commands",
            },
        ]
}

fn authority(ca_pem: &str, first: &str) -> Step {
    Step {
        title: "Bring this server's authority to the host.",
        words: "So that nobody else can pose as this server.",
        code: format!("{first}\ncat > ca.pem <<'END'\n{}\nEND", ca_pem.trim()),
        label: "the command that writes the authority",
    }
}

/// Exchanges the token for the credential of one agent, into a file that only its owner reads.
fn credential(joining: &Joining, secret: &str, file: &str) -> Step {
    let code = format!(
        "(umask 077; printf 'header = \"Authorization: Bearer %s\"\\n' {secret} |
  curl -fsS -K - --cacert ca.pem -H 'Content-Type: application/json' \\
    -d \"{{\\\"host\\\": \\\"$(hostname)\\\"}}\" https://{}/v1/enroll |
  sed -n 's/.*\"credential\": *\"\\([^\"]*\\)\".*/MUSTER_AGENT_TOKEN=\\1/p' > {file}.new)
[ -s {file}.new ] && mv {file}.new {file}",
        joining.authority(),
    );
    Step {
        title: "Exchange the token for a credential.",
        words: "It belongs to this agent alone, is shown this once, and is written to a file that only its owner reads.",
        code,
        label: "the command that enrols",
    }
}

fn extension(joining: &Joining) -> String {
    format!(
        "extensions:
  opamp:
    server:
      ws:
        endpoint: {}
        headers:
          Authorization: \"Bearer ${{env:MUSTER_AGENT_TOKEN}}\"
        tls:
          ca_file: /etc/muster/ca.pem
service:
  extensions: [opamp]
",
        joining.endpoint()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

    #[test]
    fn every_line_pins_the_authority_and_none_switches_a_check_off() {
        let joining = Joining::new("muster.example.net", 4320, PEM).unwrap();
        for way in Way::ALL {
            let steps = steps(way, &joining, PEM, "mst_enrol_x");
            let codes: Vec<&str> = steps.iter().map(|step| step.code.as_str()).collect();
            let text = codes.join("\n");
            assert!(text.contains("MIIB") && text.contains("mst_enrol_x"), "{way:?}");
            for line in text.lines().filter(|line| line.contains("curl ")) {
                assert!(line.contains("--cacert"), "{line}");
            }
            assert!(!text.contains("--ssl-no-revoke"), "{way:?}");
            for word in [" -k ", "-fsSk", "insecure", "http://", " ws://", "Bearer mst_"] {
                assert!(!text.contains(word), "{way:?}: {word}");
            }
        }
    }

    #[test]
    fn other_hosts_are_given_a_name_that_they_can_reach() {
        let names = ["localhost".to_owned(), "::1".to_owned(), "fd00::5".to_owned()];
        let told = |called: &str, names: &[String]| {
            let (joining, local) = place(called, names, 4320, PEM).unwrap();
            (joining.authority().to_owned(), local)
        };
        assert_eq!(
            told("muster.example:4321", &names),
            ("muster.example:4320".to_owned(), false)
        );
        assert_eq!(
            told("127.0.0.1:4321", &names),
            ("[fd00::5]:4320".to_owned(), false)
        );
        assert_eq!(
            told("[fd00::9]:4321", &names),
            ("[fd00::9]:4320".to_owned(), false)
        );
        assert_eq!(told("localhost", &[]), ("localhost:4320".to_owned(), true));
    }
}
