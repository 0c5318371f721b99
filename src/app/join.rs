//! What is handed out so that agents can join: the script, the command that fetches it, and files to write by hand. Pure
//! text; the templates lie in `templates/`.

use std::net::Ipv6Addr;

const SCRIPT: &str = include_str!("../../templates/join.sh");
const SUPERVISOR: &str = include_str!("../../templates/supervisor.yaml");
const UNIT: &str = include_str!("../../templates/muster-agent.service");
const ANY_CLIENT: &str = include_str!("../../templates/opamp-client.txt");

/// Where agents find this server, and whom they trust there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    authority: String,
    ca_pem: String,
}

/// A text that can't stand in an address of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no host name or address that agents could be given")]
pub struct NoHost;

impl Joining {
    /// Agents reach the agent plane at `host` (a name or an address) and `port`, and trust the authority `ca_pem`.
    ///
    /// # Errors
    /// [`NoHost`] when `host` is neither a name nor an address.
    pub fn new(host: &str, port: u16, ca_pem: &str) -> Result<Self, NoHost> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let host = if bare.parse::<Ipv6Addr>().is_ok() {
            format!("[{bare}]")
        } else {
            bare.to_owned()
        };
        Self::at(&format!("{host}:{port}"), ca_pem)
    }

    /// The same for `authority`, host and port in one, as in a `Host` header.
    ///
    /// # Errors
    /// [`NoHost`] when that is none: it goes into scripts, so it is taken strictly.
    pub fn at(authority: &str, ca_pem: &str) -> Result<Self, NoHost> {
        let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let (host, port) = authority.rsplit_once(':').ok_or(NoHost)?;
        let is_v6 = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
        let is_name = !host.is_empty() && host.len() <= 253 && host.chars().all(harmless);
        if !(is_v6 || is_name) || port.parse::<u16>().is_err() {
            return Err(NoHost);
        }
        Ok(Self {
            authority: authority.to_owned(),
            ca_pem: ca_pem.trim().to_owned(),
        })
    }

    /// Host and port of the agent plane.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Where agents connect by WebSocket; over HTTP it is the same with `https`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("wss://{}/v1/opamp", self.authority)
    }

    /// The script that joins a Linux host. It holds nothing secret.
    #[must_use]
    pub fn script(&self) -> String {
        SCRIPT
            .replacen("@SERVER@", &format!("https://{}", self.authority), 1)
            .replacen("@CA_PEM@", &self.ca_pem, 1)
            .replacen("@SUPERVISOR_YAML@", SUPERVISOR.trim_end(), 1)
            .replacen("@UNIT@", UNIT.trim_end(), 1)
    }

    /// The command for a host's shell that fetches the script and runs it. It carries the authority, so that the host
    /// trusts this server and no other from the first byte on, and gives the token on standard input, where the list of
    /// processes doesn't show it. `options` are the script's, as typed.
    #[must_use]
    pub fn line(&self, token: &str, options: &str) -> String {
        let inner: String = self
            .ca_pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .map(str::trim)
            .collect();
        let (space, url) = (
            if options.is_empty() { "" } else { " " },
            format!("https://{}/join.sh", self.authority),
        );
        format!(
            "d=$(mktemp -d) && {{ echo '-----BEGIN CERTIFICATE-----'; echo {inner} | fold -w 64; \
             echo '-----END CERTIFICATE-----'; }} >\"$d/ca.pem\" && \
             curl -fsS --cacert \"$d/ca.pem\" -o \"$d/join.sh\" '{url}' && \
             echo {token} | sudo sh \"$d/join.sh\"{space}{options}"
        )
    }

    /// The Supervisor's own file for a host that is set up by hand, with the places that the script uses.
    #[must_use]
    pub fn supervisor_yaml(&self) -> String {
        SUPERVISOR
            .replacen("@ENDPOINT@", &self.endpoint(), 1)
            .replacen("@CA@", "/etc/muster-agent/ca.pem", 1)
            .replacen("@COLLECTOR@", "/usr/bin/otelcol-contrib", 1)
            .replacen("@STORAGE@", "/var/lib/muster-agent", 1)
    }

    /// The systemd unit for a host that is set up by hand.
    #[must_use]
    pub fn unit(&self) -> String {
        UNIT.replace("@USER@", "muster-agent")
            .replace("@GROUP@", "muster-agent")
            .replace("@ETC@", "/etc/muster-agent")
            .replace("@SUPERVISOR@", "/usr/bin/opampsupervisor")
    }

    /// What any OpAMP client has to be told, in words, with the authority.
    #[must_use]
    pub fn any_client(&self) -> String {
        ANY_CLIENT
            .replace("@AUTHORITY@", &self.authority)
            .replace("@CA_PEM@", &self.ca_pem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----\n";

    fn joining() -> Joining {
        Joining::new("muster.example", 4320, PEM).unwrap()
    }

    #[test]
    fn everything_is_filled_in_and_nothing_else_changes() {
        let joining = joining();
        let script = joining.script();
        assert!(script.contains("server='https://muster.example:4320'\n"));
        assert!(script.contains(PEM.trim()));
        for text in [
            joining.supervisor_yaml(),
            joining.unit(),
            joining.any_client(),
            joining.line("mst_enrol_x", ""),
        ] {
            assert!(!text.contains('@'), "{text}");
        }
        // What the script fills in itself stays for it.
        for left in [
            "@ENDPOINT@",
            "@CA@",
            "@COLLECTOR@",
            "@STORAGE@",
            "@USER@",
            "@ETC@",
        ] {
            assert!(script.contains(left), "{left}");
        }
        for gone in ["'@SERVER@'", "\n@CA_PEM@", "\n@SUPERVISOR_YAML@", "\n@UNIT@"] {
            assert!(!script.contains(gone), "{gone}");
        }
    }

    #[test]
    fn the_line_trusts_this_authority_only_and_hides_the_token() {
        let line = joining().line("mst_enrol_x", "--no-adopt");
        assert!(line.contains("echo QUJDREVG | fold -w 64"));
        assert!(
            line.contains("--cacert \"$d/ca.pem\" -o \"$d/join.sh\" 'https://muster.example:4320/join.sh'")
        );
        assert!(line.ends_with("echo mst_enrol_x | sudo sh \"$d/join.sh\" --no-adopt"));
        assert!(!line.contains(" -k") && !line.contains("--insecure"));
    }

    #[test]
    fn addresses_are_written_as_urls_want_them_and_nothing_else_gets_into_a_script() {
        assert_eq!(Joining::new("::1", 4320, PEM).unwrap().authority(), "[::1]:4320");
        assert_eq!(
            Joining::new("[::1]", 4320, PEM).unwrap().authority(),
            "[::1]:4320"
        );
        assert_eq!(
            Joining::new("10.0.0.1", 1, PEM).unwrap().authority(),
            "10.0.0.1:1"
        );
        for odd in [
            "", "a'b:1", "a b:1", "a", "a:b", "a:99999", "$(id):1", "[::1:1", "[x]:1", "\"@:1",
        ] {
            assert_eq!(Joining::at(odd, PEM), Err(NoHost), "{odd}");
        }
    }
}
