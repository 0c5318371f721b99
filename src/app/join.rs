//! What is handed out so that agents can join: the script, the command that fetches it, and files to write by hand. Pure
//! text; the templates lie in `templates/`.

use std::net::Ipv6Addr;

const SCRIPT: &str = include_str!("../../templates/join.sh");
const SUPERVISOR: &str = include_str!("../../templates/supervisor.yaml");
const SCRIPT_FOR_MACOS: &str = include_str!("../../templates/join-macos.sh");
const SCRIPT_FOR_WINDOWS: &str = include_str!("../../templates/join.ps1");
const KUBERNETES: &str = include_str!("../../templates/kubernetes.yaml");
const BRIDGE: &str = include_str!("../../templates/kubernetes-bridge.yaml");
/// The systemd unit of the server itself.
pub const SERVER_UNIT: &str = include_str!("../../templates/muster.service");
const UNIT: &str = include_str!("../../templates/muster-agent.service");
const ANY_CLIENT: &str = include_str!("../../templates/opamp-client.txt");

/// Where agents find this server, and whom they trust there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    authority: String,
    ca_pem: String,
}

/// A system that has a join script of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux, in `sh`.
    Linux,
    /// macOS, in `sh`.
    MacOs,
    /// Windows, in PowerShell.
    Windows,
}

impl System {
    /// The path under which its script is handed out.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Linux => "/join.sh",
            Self::MacOs => "/join-macos.sh",
            Self::Windows => "/join.ps1",
        }
    }
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

    /// The script that joins a host. It holds nothing secret.
    #[must_use]
    pub fn script(&self, system: System) -> String {
        let script = match system {
            System::Linux => SCRIPT,
            System::MacOs => SCRIPT_FOR_MACOS,
            System::Windows => SCRIPT_FOR_WINDOWS,
        };
        script
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
        self.shell_line(System::Linux, token, options)
    }

    /// The same for a Mac.
    #[must_use]
    pub fn macos_line(&self, token: &str) -> String {
        self.shell_line(System::MacOs, token, "")
    }

    /// The same for the PowerShell of an administrator. The server's authority publishes no revocation lists, which that
    /// system's curl would otherwise insist on.
    #[must_use]
    pub fn windows_line(&self, token: &str) -> String {
        let inner = self.inner();
        let url = format!("https://{}{}", self.authority, System::Windows.path());
        format!(
            "$d = New-Item -ItemType Directory \"$env:TEMP\\$([Guid]::NewGuid())\"; \
             Set-Content -Encoding Ascii \"$d\\ca.pem\" (@('-----BEGIN CERTIFICATE-----') + \
             ('{inner}' -split '(.{{64}})' | Where-Object {{ $_ }}) + '-----END CERTIFICATE-----'); \
             curl.exe -fsS --ssl-revoke-best-effort --cacert \"$d\\ca.pem\" -o \"$d\\join.ps1\" '{url}'; \
             if ($LASTEXITCODE -eq 0) {{ $env:MUSTER_TOKEN = '{token}'; \
             powershell -ExecutionPolicy Bypass -File \"$d\\join.ps1\"; $env:MUSTER_TOKEN = '' }}"
        )
    }

    /// The authority's certificate in one word.
    fn inner(&self) -> String {
        let lines = self.ca_pem.lines().filter(|line| !line.starts_with("-----"));
        lines.map(str::trim).collect()
    }

    fn shell_line(&self, system: System, token: &str, options: &str) -> String {
        let inner = self.inner();
        let (space, url) = (
            if options.is_empty() { "" } else { " " },
            format!("https://{}{}", self.authority, system.path()),
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

    /// What a Kubernetes cluster is given for a Collector on every node.
    #[must_use]
    pub fn kubernetes(&self) -> String {
        self.manifest(KUBERNETES)
    }

    /// What a Kubernetes cluster with the OpenTelemetry operator is given for its OpAMP bridge.
    #[must_use]
    pub fn kubernetes_bridge(&self) -> String {
        self.manifest(BRIDGE)
    }

    fn manifest(&self, template: &str) -> String {
        let indented: Vec<String> = self.ca_pem.lines().map(|line| format!("    {line}")).collect();
        template
            .replacen("@CA_PEM_INDENTED@", &indented.join("\n"), 1)
            .replace("@ENDPOINT@", &self.endpoint())
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
        let script = joining.script(System::Linux);
        assert!(script.contains("server='https://muster.example:4320'\n"));
        assert!(script.contains(PEM.trim()));
        for text in [
            joining.supervisor_yaml(),
            joining.unit(),
            joining.any_client(),
            joining.line("mst_enrol_x", ""),
            joining.macos_line("mst_enrol_x"),
            joining.kubernetes(),
            joining.kubernetes_bridge(),
        ] {
            let unfilled = |word: &&str| {
                let name = word.split_once('@').map_or("", |(name, _)| name);
                !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            };
            assert_eq!(text.split_inclusive('@').find(unfilled), None, "{text}");
        }
        let windows = joining.windows_line("mst_enrol_x");
        assert!(
            windows.contains("'QUJDREVG'") && windows.contains("/join.ps1'"),
            "{windows}"
        );
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
