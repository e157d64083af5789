//! The policies of the bus against `ACCESS.md`, with real users, each in a process and on a connection of its own.

use crate::access::Standing;
use crate::operator::write;
use crate::probe::Findings;
use crate::station::Station;
use anyhow::{Context, Result, ensure};
use busbar_interfaces::names;
use std::collections::BTreeMap;
use tokio::process::Command;

/// Users whom no package brings.
const PEOPLE: &str = "u image-nobody -\nu image-reader -\nm image-reader busbar\n\
    u image-engineer -\nm image-engineer busbar-engineer\n";

/// Everybody may do what the table says, and nothing else.
///
/// # Errors
/// Every difference.
pub async fn everybody_may_what_the_table_says(_: &Station) -> Result<String> {
    write("/etc/sysusers.d/image-test.conf", PEOPLE, 0o644)?;
    let made = Command::new("systemd-sysusers").output().await?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let people = [
        ("image-nobody".to_owned(), Standing::Ordinary),
        ("image-reader".to_owned(), Standing::Reader),
        ("image-engineer".to_owned(), Standing::Engineer),
        ("root".to_owned(), Standing::Engineer),
    ];
    let services = names::ALL.map(|service| (format!("busbar-{}", service.role), Standing::Service(service.role)));
    let (mut wrong, mut tried, mut users) = (Vec::new(), 0usize, 0u32);
    for (user, standing) in people.into_iter().chain(services) {
        let findings = probe(&user).await.with_context(|| user.clone())?;
        tried = tried.saturating_add(findings.calls.len());
        users = users.saturating_add(1);
        wrong.extend(differences(standing, &findings).into_iter().map(|what| format!("{user}: {what}")));
    }
    ensure!(wrong.is_empty(), "{} differences:\n  {}", wrong.len(), wrong.join("\n  "));
    Ok(format!("{users} users, {tried} calls tried, each let through or refused as ACCESS.md says"))
}

async fn probe(user: &str) -> Result<Findings> {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--init-groups");
    let output = command.arg("--").arg(std::env::current_exe()?).arg("--probe").output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What a user is let do and should not be, or the other way round.
fn differences(standing: Standing, findings: &Findings) -> Vec<String> {
    let may = standing.calls();
    let may_call = |call: &str| {
        may.iter().any(|(interface, member)| call.strip_prefix(interface.as_str()) == Some(&format!(".{member}")))
    };
    let own = |name: &str| match standing {
        Standing::Service(role) => names::ALL.iter().any(|service| service.role == role && service.bus_name == name),
        _ => false,
    };
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: &BTreeMap<String, bool>, may: &dyn Fn(&str) -> bool| {
        for (name, found) in found.iter().filter(|(name, found)| may(name) != **found) {
            wrong.push(format!("{what} {name}: {}", if *found { "let through" } else { "refused" }));
        }
    };
    compare("calls", &findings.calls, &may_call);
    compare("reads", &findings.reads, &|_| standing.reads());
    compare("writes", &findings.writes, &|_| false);
    compare("may own", &findings.names, &own);
    compare("took", &findings.taken, &|_| false);
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let calls = [("io.busbar.Power1.Connector.ResetFault", true), ("io.busbar.Session1.ClearCache", false)];
        let found = |pairs: &[(&str, bool)]| pairs.iter().map(|(name, found)| ((*name).to_owned(), *found)).collect();
        let findings = Findings {
            calls: found(&calls),
            reads: found(&[("io.busbar.Power1", true)]),
            names: found(&[("io.busbar.Power1", false)]),
            ..Findings::default()
        };
        assert_eq!(differences(Standing::Engineer, &findings), ["calls io.busbar.Session1.ClearCache: refused"]);
        let reader = ["calls io.busbar.Power1.Connector.ResetFault: let through"];
        assert_eq!(differences(Standing::Reader, &findings), reader);
        assert_eq!(differences(Standing::Service("power"), &findings).len(), 2);
    }
}
