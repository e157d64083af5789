//! How uploads and updates get on, and what the security extension wants to be told.

use super::Report;
use crate::payload::Payload;
use crate::word::words;
use serde_json::Value;

words!(
    /// Where an upload of diagnostics is.
    DiagnosticsStatus {
        Idle = "Idle",
        Uploaded = "Uploaded",
        UploadFailed = "UploadFailed",
        Uploading = "Uploading",
    }
);
words!(
    /// Where an update of the firmware is.
    FirmwareStatus {
        Downloaded = "Downloaded",
        DownloadFailed = "DownloadFailed",
        Downloading = "Downloading",
        Idle = "Idle",
        InstallationFailed = "InstallationFailed",
        Installing = "Installing",
        Installed = "Installed",
    }
);
words!(
    /// Where an upload of a log is.
    LogStatus {
        BadMessage = "BadMessage",
        Idle = "Idle",
        NotSupportedOperation = "NotSupportedOperation",
        PermissionDenied = "PermissionDenied",
        Uploaded = "Uploaded",
        UploadFailure = "UploadFailure",
        Uploading = "Uploading",
    }
);
words!(
    /// Where an update with a signed firmware is.
    SignedFirmwareStatus {
        Downloaded = "Downloaded",
        DownloadFailed = "DownloadFailed",
        Downloading = "Downloading",
        DownloadScheduled = "DownloadScheduled",
        DownloadPaused = "DownloadPaused",
        Idle = "Idle",
        InstallationFailed = "InstallationFailed",
        Installing = "Installing",
        Installed = "Installed",
        InstallRebooting = "InstallRebooting",
        InstallScheduled = "InstallScheduled",
        InstallVerificationFailed = "InstallVerificationFailed",
        InvalidSignature = "InvalidSignature",
        SignatureVerified = "SignatureVerified",
    }
);

/// DiagnosticsStatusNotification.req.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiagnosticsStatusNotification {
    /// Where it is.
    pub status: DiagnosticsStatus,
}

impl Report for DiagnosticsStatusNotification {
    const ACTION: &'static str = "DiagnosticsStatusNotification";

    fn payload(&self) -> Value {
        Payload::default().word("status", self.status).into()
    }
}

/// FirmwareStatusNotification.req.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirmwareStatusNotification {
    /// Where it is.
    pub status: FirmwareStatus,
}

impl Report for FirmwareStatusNotification {
    const ACTION: &'static str = "FirmwareStatusNotification";

    fn payload(&self) -> Value {
        Payload::default().word("status", self.status).into()
    }
}

/// LogStatusNotification.req.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStatusNotification {
    /// Where it is.
    pub status: LogStatus,
    /// The number of the GetLog; None when nothing is going on.
    pub request: Option<i32>,
}

impl Report for LogStatusNotification {
    const ACTION: &'static str = "LogStatusNotification";

    fn payload(&self) -> Value {
        Payload::default().word("status", self.status).optional_count("requestId", self.request).into()
    }
}

/// SignedFirmwareStatusNotification.req.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedFirmwareStatusNotification {
    /// Where it is.
    pub status: SignedFirmwareStatus,
    /// The number of the SignedUpdateFirmware; None when nothing is going on.
    pub request: Option<i32>,
}

impl Report for SignedFirmwareStatusNotification {
    const ACTION: &'static str = "SignedFirmwareStatusNotification";

    fn payload(&self) -> Value {
        Payload::default().word("status", self.status).optional_count("requestId", self.request).into()
    }
}

/// SecurityEventNotification.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEventNotification {
    /// OCPP's name of the event, such as `InvalidFirmwareSignature`, or one of the vendor's.
    pub kind: String,
    /// When it happened.
    pub unix_millis: u64,
    /// More of it; no secrets.
    pub detail: Option<String>,
}

impl Report for SecurityEventNotification {
    const ACTION: &'static str = "SecurityEventNotification";

    fn payload(&self) -> Value {
        Payload::default()
            .text("type", &self.kind, 50)
            .moment("timestamp", self.unix_millis)
            .optional_text("techInfo", self.detail.as_deref(), 255)
            .into()
    }
}

/// SignCertificate.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignCertificate {
    /// The request for a certificate, PEM. One of more than 5500 characters is cut too, and no longer one: no key that
    /// the extension allows makes it so long.
    pub request: String,
}

impl Report for SignCertificate {
    const ACTION: &'static str = "SignCertificate";

    fn payload(&self) -> Value {
        Payload::default().text("csr", &self.request, 5500).into()
    }
}
