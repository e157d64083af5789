//! The commercial references of the EVlink Pro DC family and what each of them is: rated power and plugs.
//! Source: connectivity guide DOCA0311EN-01 (04/2024), product table.

use crate::units::{ConnectorId, Watts};
use crate::words::ConnectorType;

/// One product: rated power and the plug of each connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The commercial reference, reported as `chargePointModel`.
    pub reference: String,
    /// Rated power of the station.
    pub rated: Watts,
    /// Plugs of connectors 1 and 2.
    pub connectors: [ConnectorType; 2],
}

/// (kilowatts, plug letters, the variants that are sold)
const FAMILY: &[(u32, &str, &[&str])] = &[
    (60, "TB", &["B", "CC5", "CC7"]),
    (60, "TH", &["B", "BCC5"]),
    (120, "TB", &["B", "CC", "CC7", "B-AN", "CC7-AN"]),
    (120, "TH", &["B", "BCC", "B-AN"]),
    (150, "TB", &["B", "CC", "CC7", "B-AN", "CC7-AN"]),
    (150, "TH", &["B", "BCC", "B-AN"]),
    (180, "TB", &["B", "CC", "CC7", "B-AN", "CC7-AN"]),
    (180, "TH", &["B", "BCC", "B-AN"]),
];

impl Product {
    /// The product of a commercial reference, such as `EVD1S180TBB`.
    pub fn of_reference(reference: &str) -> Option<Product> {
        FAMILY.iter().find_map(|(kilowatts, plugs, variants)| {
            let rest = reference.strip_prefix(&format!("EVD1S{kilowatts}{plugs}"))?;
            variants.contains(&rest).then(|| Product {
                reference: reference.to_owned(),
                rated: Watts(kilowatts.saturating_mul(1000)),
                connectors: match *plugs {
                    "TH" => [ConnectorType::Ccs2, ConnectorType::Chademo],
                    _ => [ConnectorType::Ccs2, ConnectorType::Ccs2],
                },
            })
        })
    }

    /// Every reference of the family.
    pub fn references() -> Vec<String> {
        FAMILY
            .iter()
            .flat_map(|(kilowatts, plugs, variants)| {
                variants.iter().map(move |variant| format!("EVD1S{kilowatts}{plugs}{variant}"))
            })
            .collect()
    }

    /// The connectors, numbered as OCPP does.
    pub fn connectors(&self) -> impl Iterator<Item = (ConnectorId, ConnectorType)> + use<> {
        let [a, b] = self.connectors;
        [(ConnectorId(1), a), (ConnectorId(2), b)].into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_guide_is_known() {
        for reference in Product::references() {
            assert!(Product::of_reference(&reference).is_some(), "{reference}");
        }
        let product = Product::of_reference("EVD1S150THBCC").expect("in the guide");
        assert_eq!(product.rated, Watts(150_000));
        assert_eq!(product.connectors, [ConnectorType::Ccs2, ConnectorType::Chademo]);
        for reference in ["EVD1S120TBB", "EVD1S120TBCC", "EVD1S120TBCC7", "EVD1S60THBCC5", "EVD1S180TBCC7-AN"] {
            assert!(Product::of_reference(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn other_references_are_refused() {
        for reference in ["", "EVD1S180", "EVD1S180TB", "EVD1S200TBB", "evd1s180tbb", "EVD1S180TBB-XX"] {
            assert!(Product::of_reference(reference).is_none(), "{reference}");
        }
    }
}
