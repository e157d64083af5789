//! The security extension: "Improved security for OCPP 1.6-J", edition 3. A PEM text is hidden, because one that was
//! put together by hand may hold a private key too.

use crate::Hidden;
use crate::fields::Fields;
use crate::frame::Refusal;
use crate::word::words;

const MOST_CHAIN_CHARACTERS: usize = 10_000;
const MOST_CERTIFICATE_CHARACTERS: usize = 5500;
const MOST_SIGNATURE_CHARACTERS: usize = 800;
const MOST_ADDRESS_CHARACTERS: usize = 512;

words!(
    /// What a root certificate vouches for.
    CertificateUse {
        /// The CSMS.
        CentralSystem = "CentralSystemRootCertificate",
        /// The maker of the firmware.
        Manufacturer = "ManufacturerRootCertificate",
    }
);
words!(
    /// How the hashes of a certificate are made.
    HashAlgorithm {
        Sha256 = "SHA256",
        Sha384 = "SHA384",
        Sha512 = "SHA512",
    }
);
words!(
    /// A message that ExtendedTriggerMessage can ask for.
    ExtendedTriggeredMessage {
        BootNotification = "BootNotification",
        LogStatusNotification = "LogStatusNotification",
        FirmwareStatusNotification = "FirmwareStatusNotification",
        Heartbeat = "Heartbeat",
        MeterValues = "MeterValues",
        SignChargePointCertificate = "SignChargePointCertificate",
        StatusNotification = "StatusNotification",
    }
);
words!(
    /// Which log.
    LogType {
        /// For technicians.
        Diagnostics = "DiagnosticsLog",
        /// Who did what.
        Security = "SecurityLog",
    }
);

/// CertificateSigned.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSigned {
    /// PEM: the station's certificate and those between it and the root.
    pub chain: Hidden,
}

impl CertificateSigned {
    pub(super) fn read(fields: &Fields<'_>) -> Result<CertificateSigned, Refusal> {
        Ok(CertificateSigned { chain: fields.text("certificateChain", MOST_CHAIN_CHARACTERS)?.into() })
    }
}

/// Which certificate, told without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateHash {
    /// How both hashes are made.
    pub algorithm: HashAlgorithm,
    /// Of the issuer's name, hexadecimal.
    pub issuer_name: String,
    /// Of the issuer's public key, hexadecimal.
    pub issuer_key: String,
    /// The certificate's own number, hexadecimal.
    pub serial: String,
}

impl CertificateHash {
    fn read(fields: &Fields<'_>) -> Result<CertificateHash, Refusal> {
        Ok(CertificateHash {
            algorithm: fields.word("hashAlgorithm")?,
            issuer_name: fields.text("issuerNameHash", 128)?.to_owned(),
            issuer_key: fields.text("issuerKeyHash", 128)?.to_owned(),
            serial: fields.text("serialNumber", 40)?.to_owned(),
        })
    }
}

/// DeleteCertificate.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteCertificate {
    /// Which one.
    pub hash: CertificateHash,
}

impl DeleteCertificate {
    pub(super) fn read(fields: &Fields<'_>) -> Result<DeleteCertificate, Refusal> {
        Ok(DeleteCertificate { hash: CertificateHash::read(&fields.object("certificateHashData")?)? })
    }
}

/// ExtendedTriggerMessage.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedTriggerMessage {
    /// Which message.
    pub message: ExtendedTriggeredMessage,
    /// Of which connector; None: of all.
    pub connector: Option<u32>,
}

impl ExtendedTriggerMessage {
    pub(super) fn read(fields: &Fields<'_>) -> Result<ExtendedTriggerMessage, Refusal> {
        Ok(ExtendedTriggerMessage {
            message: fields.word("requestedMessage")?,
            connector: fields.optional_count("connectorId")?,
        })
    }
}

/// GetInstalledCertificateIds.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetInstalledCertificateIds {
    /// Of which kind.
    pub kind: CertificateUse,
}

impl GetInstalledCertificateIds {
    pub(super) fn read(fields: &Fields<'_>) -> Result<GetInstalledCertificateIds, Refusal> {
        Ok(GetInstalledCertificateIds { kind: fields.word("certificateType")? })
    }
}

/// GetLog.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetLog {
    /// Which log.
    pub log: LogType,
    /// The CSMS's number of this request, which LogStatusNotification repeats.
    pub request: i32,
    /// How often a failed upload is tried again.
    pub retries: Option<u32>,
    /// Seconds from one attempt to the next.
    pub retry_interval_seconds: Option<u32>,
    /// The folder to which the log is sent; may carry a password.
    pub location: Hidden,
    /// From when.
    pub from_unix_millis: Option<u64>,
    /// Until when.
    pub until_unix_millis: Option<u64>,
}

impl GetLog {
    pub(super) fn read(fields: &Fields<'_>) -> Result<GetLog, Refusal> {
        let parameters = fields.object("log")?;
        Ok(GetLog {
            log: fields.word("logType")?,
            request: fields.integer("requestId")?,
            retries: fields.optional_count("retries")?,
            retry_interval_seconds: fields.optional_count("retryInterval")?,
            location: parameters.address("remoteLocation", MOST_ADDRESS_CHARACTERS)?,
            from_unix_millis: parameters.optional_moment("oldestTimestamp")?,
            until_unix_millis: parameters.optional_moment("latestTimestamp")?,
        })
    }
}

/// InstallCertificate.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallCertificate {
    /// What it vouches for.
    pub kind: CertificateUse,
    /// PEM.
    pub certificate: Hidden,
}

impl InstallCertificate {
    pub(super) fn read(fields: &Fields<'_>) -> Result<InstallCertificate, Refusal> {
        Ok(InstallCertificate {
            kind: fields.word("certificateType")?,
            certificate: fields.text("certificate", MOST_CERTIFICATE_CHARACTERS)?.into(),
        })
    }
}

/// SignedUpdateFirmware.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUpdateFirmware {
    /// How often a failed download is tried again.
    pub retries: Option<u32>,
    /// Seconds from one attempt to the next.
    pub retry_interval_seconds: Option<u32>,
    /// The CSMS's number of this request, which SignedFirmwareStatusNotification repeats.
    pub request: i32,
    /// Where the firmware is; may carry a password.
    pub location: Hidden,
    /// Not fetched before.
    pub retrieve_unix_millis: u64,
    /// Not installed before.
    pub install_unix_millis: Option<u64>,
    /// PEM: with which the firmware was signed.
    pub signing_certificate: Hidden,
    /// Of the firmware, base64.
    pub signature: String,
}

impl SignedUpdateFirmware {
    pub(super) fn read(fields: &Fields<'_>) -> Result<SignedUpdateFirmware, Refusal> {
        let firmware = fields.object("firmware")?;
        Ok(SignedUpdateFirmware {
            retries: fields.optional_count("retries")?,
            retry_interval_seconds: fields.optional_count("retryInterval")?,
            request: fields.integer("requestId")?,
            location: firmware.address("location", MOST_ADDRESS_CHARACTERS)?,
            retrieve_unix_millis: firmware.moment("retrieveDateTime")?,
            install_unix_millis: firmware.optional_moment("installDateTime")?,
            signing_certificate: firmware.text("signingCertificate", MOST_CERTIFICATE_CHARACTERS)?.into(),
            signature: firmware.text("signature", MOST_SIGNATURE_CHARACTERS)?.to_owned(),
        })
    }
}
