//! Any text that a CSMS could send: as a frame, as a request, as an answer to each of the station's requests. Nothing
//! may panic, and every refusal must itself be a frame that tells nothing of what was sent.
#![no_main]

use busbar_ocpp16::confirmation;
use busbar_ocpp16::frame::{self, Frame};
use busbar_ocpp16::request::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The transport refuses what is no UTF-8.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match frame::read(text) {
        Ok(Frame::Call { id, action, payload }) => match Request::read(&action, &payload) {
            Ok(request) => {
                assert_eq!(request.action(), action);
                let _ = format!("{request:?}");
            }
            Err(refusal) => {
                let sent = frame::error(&id, &refusal);
                let code = refusal.code.to_string();
                assert_eq!(frame::read(&sent.0), Ok(Frame::Error { id, code }));
            }
        },
        Ok(Frame::Result { payload, .. }) => {
            let _ = confirmation::BootNotification::read(&payload);
            let _ = confirmation::Heartbeat::read(&payload);
            let _ = confirmation::Authorize::read(&payload);
            let _ = confirmation::StartTransaction::read(&payload);
            let _ = confirmation::StopTransaction::read(&payload);
            let _ = confirmation::DataTransfer::read(&payload);
            let _ = confirmation::SignCertificate::read(&payload);
        }
        Ok(Frame::Error { .. }) => {}
        Err(broken) => {
            if let Some(answer) = broken.answer {
                assert!(matches!(frame::read(&answer.0), Ok(Frame::Error { .. })));
            }
        }
    }
});
