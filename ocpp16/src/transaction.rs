//! The CSMS's number of a transaction.

/// The number that the CSMS gave a transaction in StartTransaction.conf. Any number is one, also zero and below.
///
/// A message with a transaction can only be written with one of these, and there is no way from a plain number to one
/// by accident: a charge whose StartTransaction is not confirmed has none, and so cannot be told under a placeholder.
///
/// ```
/// let kept = busbar_ocpp16::CentralTransaction::confirmed(77);
/// assert_eq!(kept.number(), 77);
/// ```
/// ```compile_fail
/// let placeholder = busbar_ocpp16::CentralTransaction(-1);
/// ```
/// ```compile_fail
/// let placeholder: busbar_ocpp16::CentralTransaction = (-1).into();
/// ```
/// ```compile_fail
/// let placeholder = busbar_ocpp16::CentralTransaction::default();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CentralTransaction(i32);

impl CentralTransaction {
    /// A number that a StartTransaction.conf brought and that was kept since. Nothing else belongs here: no default,
    /// no counter of the station.
    pub fn confirmed(number: i32) -> CentralTransaction {
        CentralTransaction(number)
    }

    /// The number, to keep it or to compare it with a request's.
    pub fn number(self) -> i32 {
        self.0
    }
}
