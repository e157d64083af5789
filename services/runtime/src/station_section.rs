//! The `[station]` section of the station file, which several services read: who made the station and what it is.

use crate::station_file::Section;
use busbar_interfaces::Watts;
use busbar_interfaces::product::Product;
use busbar_interfaces::words::ConnectorType;

/// What station this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationSection {
    /// Who makes it; reported as `chargePointVendor` (CiString20).
    pub vendor: String,
    /// Its serial number; reported as `chargePointSerialNumber` (CiString25).
    pub serial: String,
    /// What the commercial reference says.
    pub product: Product,
    /// The most power of the station (ChargeLimitedPower), at most its rating.
    pub limited: Watts,
    /// The most power of connectors 1 and 2 (ConnectorALimitedPower, ConnectorBLimitedPower).
    pub connectors_limited: [Watts; 2],
}

impl StationSection {
    /// Reads and checks the section.
    pub fn read(section: &mut Section<'_, '_>) -> StationSection {
        let vendor = section.parsed("vendor", Some("Schneider Electric"), |text| at_most(text, 20));
        let serial = section.parsed("serial", None, |text| at_most(text, 25));
        let product = section.parsed("model", None, |text| {
            let references = || Product::references().join(", ");
            Product::of_reference(text)
                .ok_or_else(|| format!("must be a commercial reference of the family: {}", references()))
        });
        // With a fault there are no settings; the stand-in never reaches a service.
        let stand_in = || Product {
            reference: String::new(),
            rated: Watts(1),
            connectors: [ConnectorType::Unknown, ConnectorType::Unknown],
        };
        let product = product.unwrap_or_else(stand_in);
        let rated = u64::from(product.rated.0 / 1000);
        let mut limited = |key, most: u64| {
            let kilowatts = section.integer(key, 1..=most.max(1), Some(most.max(1)));
            Watts(u32::try_from(kilowatts.saturating_mul(1000)).unwrap_or(u32::MAX))
        };
        StationSection {
            vendor: vendor.unwrap_or_default(),
            serial: serial.unwrap_or_default(),
            limited: limited("charge_limited_kilowatts", rated),
            connectors_limited: [
                limited("connector_a_limited_kilowatts", rated),
                limited("connector_b_limited_kilowatts", rated),
            ],
            product,
        }
    }
}

fn at_most(text: &str, most: usize) -> Result<String, String> {
    let good = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(format!("must have 1 to {most} characters, no control characters")) }
}
