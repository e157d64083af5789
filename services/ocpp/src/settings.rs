//! The `[ocpp]` section of the station file, and what `[station]` says for BootNotification.

use busbar_runtime::station_file::host_and_port;
use busbar_runtime::{Section, Sections, StationSection};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the operator's root certificates are.
const ROOTS: &str = "/etc/busbar/roots";

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The longest wait before the first new attempt after the link was lost.
    pub retry_first: Duration,
    /// The longest wait before any later attempt.
    pub retry_most: Duration,
    /// A request that the CSMS has not answered after this time has failed.
    pub call_timeout: Duration,
    /// A new way to the CSMS has to show within this time that it works.
    pub trial: Duration,
    /// The traffic log begins anew at this size.
    pub traffic_log_bytes: u64,
    /// Events of the journal that are fetched at a time; at most twice as many are in memory.
    pub queue_page: u32,
    /// How the link is opened.
    pub link: LinkSettings,
    /// `chargePointVendor`.
    pub vendor: String,
    /// `chargePointModel`.
    pub model: String,
    /// `chargePointSerialNumber`.
    pub serial: String,
}

/// How the link is opened: whom the station trusts, what it shows, and which way it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSettings {
    /// PEM files of root certificates, or directories of `*.pem`; what is not there is passed over.
    pub root_certificates: Vec<PathBuf>,
    /// The roots of the operating system count too.
    pub system_roots: bool,
    /// What the station shows when a server asks who it is, and what security profile 3 needs.
    pub client_certificate: Option<ClientCertificate>,
    /// The HTTP proxy on the way to the CSMS.
    pub proxy: Option<Proxy>,
    /// From the name to the open WebSocket, for each address.
    pub connect_timeout: Duration,
}

/// The station's own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The PEM file of the certificate, with those between it and the root after it.
    pub chain: PathBuf,
    /// The PEM file of its private key.
    pub key: PathBuf,
}

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The file that holds `user:password`; a proxy that asks for nothing has none.
    pub credentials: Option<PathBuf>,
}

impl Default for LinkSettings {
    fn default() -> LinkSettings {
        LinkSettings {
            root_certificates: vec![PathBuf::from(ROOTS)],
            system_roots: true,
            client_certificate: None,
            proxy: None,
            connect_timeout: Duration::from_secs(15),
        }
    }
}

impl LinkSettings {
    /// The service's own certificates and the secrets that the service manager hands over count too.
    pub fn keep_in(&mut self, state_directory: &Path, credentials_directory: Option<&Path>) {
        self.root_certificates.push(state_directory.join("roots"));
        if let (Some(proxy), Some(directory)) = (&mut self.proxy, credentials_directory) {
            proxy.credentials = Some(directory.join("proxy-credentials"));
        }
    }

    fn read(section: &mut Section<'_, '_>) -> LinkSettings {
        let root_certificates = section.list_of_texts("root_certificates", &[ROOTS]);
        if root_certificates.iter().any(|path| !Path::new(path).is_absolute()) {
            section.refuse("root_certificates", "must be absolute paths of PEM files or of directories of *.pem");
        }
        let chain = section.parsed("client_certificate", Some(""), file).flatten();
        let key = section.parsed("client_key", Some(""), file).flatten();
        let client_certificate = match (chain, key) {
            (Some(chain), Some(key)) => Some(ClientCertificate { chain, key }),
            (None, None) => None,
            (Some(_), None) => {
                section.refuse("client_certificate", "needs client_key too; set both, or neither");
                None
            }
            (None, Some(_)) => {
                section.refuse("client_key", "needs client_certificate too; set both, or neither");
                None
            }
        };
        LinkSettings {
            root_certificates: root_certificates.into_iter().map(PathBuf::from).collect(),
            system_roots: section.flag("system_roots", true),
            client_certificate,
            proxy: section.parsed("proxy", Some(""), proxy).flatten(),
            connect_timeout: Duration::from_millis(section.integer(
                "connect_timeout_millis",
                1_000..=300_000,
                Some(15_000),
            )),
        }
    }
}

fn file(text: &str) -> Result<Option<PathBuf>, String> {
    match text {
        "" => Ok(None),
        path if Path::new(path).is_absolute() => Ok(Some(PathBuf::from(path))),
        _ => Err("must be the absolute path of a PEM file".to_owned()),
    }
}

/// `host:port`, also as a URL. Everybody on the station may read this file, so that no password may stand in it.
fn proxy(text: &str) -> Result<Option<Proxy>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.contains('@') {
        return Err(
            "must not hold a user and a password: give them to the service as the credential proxy-credentials"
                .to_owned(),
        );
    }
    let wanted = |_| "must be http://HOST:PORT, such as \"http://192.168.1.3:3128\"".to_owned();
    let address = text.strip_prefix("http://").unwrap_or(text);
    let address = host_and_port(address.strip_suffix('/').unwrap_or(address)).map_err(wanted)?;
    let (host, port) = address.rsplit_once(':').unwrap_or((&address, ""));
    if host.contains(['/', ' ']) || (host.contains(':') && !host.starts_with('[')) {
        return Err(wanted(String::new()));
    }
    let host = host.trim_matches(['[', ']']).to_owned();
    Ok(Some(Proxy { host, port: port.parse().map_err(|_| wanted(String::new()))?, credentials: None }))
}

impl Settings {
    /// Reads and checks the sections.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        let station = file.section("station", StationSection::read);
        file.section("ocpp", |section| {
            let retry_first = section.integer("retry_first_millis", 50..=60_000, Some(500));
            let retry_most = section.integer("retry_most_millis", 50..=3_600_000, Some(60_000));
            if retry_most < retry_first {
                section.refuse("retry_most_millis", "must not be less than retry_first_millis");
            }
            Settings {
                retry_first: Duration::from_millis(retry_first),
                retry_most: Duration::from_millis(retry_most),
                call_timeout: Duration::from_millis(section.integer(
                    "call_timeout_millis",
                    100..=600_000,
                    Some(30_000),
                )),
                trial: Duration::from_secs(section.integer("trial_seconds", 1..=86_400, Some(180))),
                traffic_log_bytes: section.integer("traffic_log_bytes", 4096..=1 << 30, Some(4 << 20)),
                queue_page: u32::try_from(section.integer("queue_page", 1..=256, Some(128))).unwrap_or(1),
                link: LinkSettings::read(section),
                vendor: station.vendor,
                model: station.product.reference,
                serial: station.serial,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_runtime::StationFile;

    fn read(text: &str) -> Result<Settings, Vec<busbar_runtime::station_file::Fault>> {
        StationFile::from_layers([("station.toml".into(), text.to_owned())]).sections(Settings::read)
    }

    #[test]
    fn the_station_and_the_defaults() {
        let settings = read("[station]\nmodel = \"EVD1S180TBCC7-AN\"\nserial = \"S1\"\n").expect("good");
        assert_eq!(settings.vendor, "Schneider Electric");
        assert_eq!(settings.retry_first, Duration::from_millis(500));
        assert_eq!(settings.call_timeout, Duration::from_secs(30));
    }

    fn link(lines: &str) -> Result<LinkSettings, Vec<busbar_runtime::station_file::Fault>> {
        let text = format!("[station]\nmodel = \"EVD1S180TBB\"\nserial = \"S1\"\n[ocpp]\n{lines}");
        read(&text).map(|settings| settings.link)
    }

    #[test]
    fn the_link_trusts_the_operators_roots_the_systems_and_the_services_own() {
        let mut settings = link("").expect("good");
        assert_eq!(settings, LinkSettings::default());
        settings.keep_in(Path::new("/var/lib/busbar/ocpp"), None);
        let roots = ["/etc/busbar/roots", "/var/lib/busbar/ocpp/roots"].map(PathBuf::from);
        assert_eq!(settings.root_certificates, roots);
        let settings = link("root_certificates = [\"/a.pem\"]\nsystem_roots = false\n").expect("good");
        assert_eq!((settings.root_certificates, settings.system_roots), (vec![PathBuf::from("/a.pem")], false));
        assert!(link("root_certificates = [\"roots\"]\n").is_err(), "a path that depends on where it is read");
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        let both = link("client_certificate = \"/c.pem\"\nclient_key = \"/k.pem\"\n").expect("good");
        assert_eq!(
            both.client_certificate,
            Some(ClientCertificate { chain: PathBuf::from("/c.pem"), key: PathBuf::from("/k.pem") })
        );
        for line in ["client_certificate = \"/c.pem\"\n", "client_key = \"/k.pem\"\n"] {
            let fault = link(line).expect_err("one is missing").remove(0).to_string();
            assert!(fault.contains("client_certificate") && fault.contains("client_key"), "{fault}");
        }
    }

    #[test]
    fn a_proxy_is_host_and_port_and_its_password_comes_another_way() {
        let address = |text: &str| {
            let mut settings = link(&format!("proxy = \"{text}\"\n"))?;
            settings.keep_in(Path::new("/state"), Some(Path::new("/credentials")));
            Ok::<_, Vec<busbar_runtime::station_file::Fault>>(settings.proxy)
        };
        let credentials = Some(PathBuf::from("/credentials/proxy-credentials"));
        let proxy = |host: &str| Some(Proxy { host: host.to_owned(), port: 3128, credentials: credentials.clone() });
        for text in ["http://proxy:3128", "http://proxy:3128/", "proxy:3128"] {
            assert_eq!(address(text), Ok(proxy("proxy")), "{text}");
        }
        assert_eq!(address("http://[2001:db8::1]:3128"), Ok(proxy("2001:db8::1")));
        assert_eq!(address(""), Ok(None));
        for text in ["proxy", "https://proxy:3128", "http://proxy", "http://proxy:3128/path", "2001:db8::1:3128"] {
            assert!(address(text).is_err(), "{text}");
        }
        let fault = address("http://user:secret@proxy:3128").expect_err("a password").remove(0).to_string();
        assert!(fault.contains("proxy-credentials") && !fault.contains("secret"), "{fault}");
    }

    #[test]
    fn what_ocpp_cannot_carry_is_refused() {
        for text in [
            "[station]\nmodel = \"Other\"\nserial = \"S1\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"12345678901234567890123456\"\n",
            "[station]\nvendor = \"A vendor with a long name\"\nmodel = \"EVD1S180TBB\"\nserial = \"S1\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"S1\"\n[ocpp]\nretry_first_millis = 900\nretry_most_millis = 500\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
