//! The rack of six power modules on their CAN bus: who a frame is for, and what each one answers.
//!
//! It holds no timing of its own; the modules do.

use crate::frame::Frame;
use crate::infypower::{self, Device, EVERY_MODULE, Identifier, Request, SetPoint, Verdict};
use crate::module::{MAXIMUM_AMPERES, MAXIMUM_VOLTS, MAXIMUM_WATTS, MINIMUM_VOLTS, Module};

/// Number of modules; their addresses are 1 to 6.
pub const MODULES: usize = 6;

/// The modules in the order of their addresses.
#[derive(Clone, Debug, Default)]
pub struct Rack {
    /// Module at address 1 first.
    pub modules: [Module; MODULES],
}

impl Rack {
    /// Hands a frame to the modules it is for and collects their answers.
    pub fn receive(&mut self, frame: &Frame) -> Vec<Frame> {
        let Some(id) = Identifier::decode(frame.id()).filter(|_| frame.is_extended()) else {
            return Vec::new();
        };
        if !id.is_from_controller() || id.error != 0 {
            return Vec::new();
        }
        let mut addressed: Vec<(u8, &mut Module)> = (1..)
            .zip(&mut self.modules)
            .map(|(number, module)| (module.conditions.address.unwrap_or(number), module))
            .filter(|(address, module)| !module.conditions.silent && is_addressed(id, *address, module.group))
            .collect();
        for (_, module) in &mut addressed {
            module.hear();
        }
        let request = Request::decode(id.command, frame.padded());
        let shared = id.device == Device::Group || matches!(request, Ok(Request::ReadTotal | Request::Count));
        if shared {
            // The members speak with one voice, under the address that was asked.
            answer_as_one(id, request, &mut addressed).into_iter().collect()
        } else {
            let members = addressed.len();
            let each = addressed.iter_mut();
            each.filter_map(|(address, module)| answer(id, *address, request, module, members)).collect()
        }
    }
}

fn is_addressed(id: Identifier, address: u8, group: u8) -> bool {
    match id.device {
        Device::Group => id.destination == group,
        Device::Module => id.destination == address || id.destination == EVERY_MODULE,
    }
}

fn answer_as_one(
    id: Identifier,
    request: Result<Request, Verdict>,
    members: &mut [(u8, &mut Module)],
) -> Option<Frame> {
    // Who is mute acts with the others, but has no part in what they say.
    let count = members.iter().filter(|(_, module)| !module.conditions.mute).count();
    let payload = match request {
        Ok(Request::ReadTotal) => {
            let highest = members.iter().map(|(_, module)| module.volts).fold(0.0, f64::max);
            Ok(infypower::output(highest, members.iter().map(|(_, module)| module.amperes).sum()))
        }
        Ok(Request::Count) => Ok(infypower::count(count)),
        Ok(request) => {
            // Everybody acts, whatever the others answer.
            let shares = members.len();
            let each = members.iter_mut().map(|(_, module)| perform(request, module, shares));
            each.reduce(Result::and).unwrap_or(Ok([0; 8]))
        }
        Err(verdict) => Err(verdict),
    };
    let verdict = payload.err().unwrap_or(Verdict::Accepted);
    (count > 0).then(|| infypower::reply(id, id.destination, verdict, payload.unwrap_or_default()))
}

fn answer(
    id: Identifier,
    address: u8,
    request: Result<Request, Verdict>,
    module: &mut Module,
    members: usize,
) -> Option<Frame> {
    let reply = match request.and_then(|request| perform(request, module, members)) {
        Ok(payload) => infypower::reply(id, address, Verdict::Accepted, payload),
        Err(verdict) => infypower::reply(id, address, verdict, [0; 8]),
    };
    (!module.conditions.mute).then_some(reply)
}

/// Does what is asked of one module and gives the payload of its reply.
fn perform(request: Request, module: &mut Module, members: usize) -> Result<[u8; 8], Verdict> {
    match request {
        Request::ReadTotal | Request::ReadOutput => return Ok(infypower::output(module.volts, module.amperes)),
        Request::Count => return Ok(infypower::count(members)),
        Request::ReadStatus => return Ok(module.status().encode()),
        Request::ReadMains => {
            let [a, b, c] = module.conditions.line_volts.map(|volts| volts * 10.0);
            return Ok(infypower::words([a, b, c, 0.0]));
        }
        Request::ReadRatings => {
            let ratings = [MAXIMUM_VOLTS, MINIMUM_VOLTS, MAXIMUM_AMPERES * 10.0, MAXIMUM_WATTS / 10.0];
            return Ok(infypower::words(ratings));
        }
        Request::ReadAvailable => {
            let amperes = module.available_amperes(module.volts);
            return Ok(infypower::words([module.volts * 10.0, amperes * 10.0, 0.0, 0.0]));
        }
        Request::WalkIn(enabled) => module.walk_in = enabled,
        Request::Blink(_) => {}
        Request::SetGroup(group) => module.group = group,
        Request::SwitchOn(on) => module.switch(on),
        Request::SetModule(set_point) => module.set(set_point)?,
        Request::SetTotal(total) => {
            let members = u32::try_from(members).unwrap_or(u32::MAX).max(1);
            module.set(SetPoint { milliamperes: total.milliamperes / members, ..total })?;
        }
    }
    Ok([0; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(rack: &mut Rack, id: u32, payload: [u8; 8]) -> Vec<Frame> {
        rack.receive(&Frame::extended(id, payload))
    }

    #[test]
    fn one_module_answers_under_its_address() {
        let mut rack = Rack::default();
        let answers = ask(&mut rack, 0x028A_05F0, [0; 8]);
        assert_eq!(answers, [Frame::extended(0x028A_F005, [0x03, 0xE8, 0, 150, 0x03, 0xE8, 0x0B, 0xB8])]);
        assert!(ask(&mut rack, 0x028A_07F0, [0; 8]).is_empty());
        // Not from a controller.
        assert!(ask(&mut rack, 0x028A_0507, [0; 8]).is_empty());
    }

    #[test]
    fn everybody_answers_a_broadcast_and_one_counts() {
        let mut rack = Rack::default();
        rack.modules[2].conditions.silent = true;
        let ids: Vec<u32> = ask(&mut rack, 0x0283_3FF0, [0; 8]).iter().map(Frame::id).collect();
        assert_eq!(ids, [0x0283_F001, 0x0283_F002, 0x0283_F004, 0x0283_F005, 0x0283_F006]);
        let answers = ask(&mut rack, 0x0282_3FF0, [0; 8]);
        assert_eq!(answers, [Frame::extended(0x0282_F03F, [0, 0, 5, 0, 0, 0, 0, 0])]);
    }

    #[test]
    fn a_total_is_divided_among_the_group() {
        let mut rack = Rack::default();
        for module in ["01", "02", "03"] {
            let id = u32::from_str_radix(&format!("0296{module}F0"), 16).unwrap();
            ask(&mut rack, id, [1, 0, 0, 0, 0, 0, 0, 0]);
        }
        // 400 V and 90 A for group 1, then on.
        let answers = ask(&mut rack, 0x02DB_01F0, [0, 0x06, 0x1A, 0x80, 0, 0x01, 0x5F, 0x90]);
        assert_eq!(answers, [Frame::extended(0x02DB_F001, [0; 8])]);
        ask(&mut rack, 0x02DA_01F0, [0; 8]);
        assert!(rack.modules[..3].iter().all(|module| module.is_on() && module.available_amperes(100.0) == 30.0));
        assert!(rack.modules[3..].iter().all(|module| !module.is_on()));
        ask(&mut rack, 0x029A_3FF0, [1, 0, 0, 0, 0, 0, 0, 0]);
        assert!(rack.modules.iter().all(|module| !module.is_on()));
    }

    #[test]
    fn nonsense_is_answered_with_the_error_field() {
        let mut rack = Rack::default();
        assert_eq!(ask(&mut rack, 0x02B3_01F0, [0; 8]), [Frame::extended(0x0AB3_F001, [0; 8])]);
        let answers = ask(&mut rack, 0x029C_01F0, [0xFF; 8]);
        assert_eq!(answers, [Frame::extended(0x0E9C_F001, [0; 8])]);
    }

    #[test]
    fn a_mute_module_obeys_and_one_with_a_foreign_address_answers_there() {
        let mut rack = Rack::default();
        rack.modules[2].conditions.mute = true;
        rack.modules[4].conditions.address = Some(2);
        assert!(ask(&mut rack, 0x029A_03F0, [0; 8]).is_empty());
        assert!(rack.modules[2].is_on());
        assert_eq!(ask(&mut rack, 0x0282_3FF0, [0; 8]), [Frame::extended(0x0282_F03F, [0, 0, 5, 0, 0, 0, 0, 0])]);
        assert!(ask(&mut rack, 0x0283_05F0, [0; 8]).is_empty());
        assert_eq!(ask(&mut rack, 0x0283_02F0, [0; 8]).len(), 2);
    }
}
