//! The network device `lo`, which is down in a new network namespace.

use rustix::io;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with};

/// `RTM_NEWLINK` (`linux/rtnetlink.h`): changes a device that exists.
const NEW_LINK: u16 = 16;
/// `NLM_F_REQUEST | NLM_F_ACK` (`linux/netlink.h`).
const REQUEST_AND_ANSWER: u16 = 1 | 4;
/// `NLMSG_ERROR`: an answer with the number of an error, or 0.
const ERROR: u16 = 2;
/// The device `lo` is always the first.
const LOOPBACK: u32 = 1;
/// `IFF_UP` (`linux/if.h`).
const UP: u32 = 1;

/// Starts the device, as `ip link set lo up` does, which is not installed in most containers. The kernel then gives it its
/// addresses.
pub(super) fn start() -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    sendto(&socket, &message(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 256];
    let (_, length) = recv(&socket, &mut answer, RecvFlags::empty())?;
    result(&answer[..length.min(answer.len())])
}

/// The message: `struct nlmsghdr`, then `struct ifinfomsg`, in the byte order of this machine.
fn message() -> Vec<u8> {
    const LENGTH: u32 = 16 + 16;
    let mut bytes = Vec::new();
    bytes.extend(LENGTH.to_ne_bytes());
    bytes.extend(NEW_LINK.to_ne_bytes());
    bytes.extend(REQUEST_AND_ANSWER.to_ne_bytes());
    // The sequence number, and the port of the sender, which the kernel knows.
    bytes.extend([0; 8]);
    // The address family, a byte of padding, and the type of the device: none.
    bytes.extend([0; 4]);
    bytes.extend(LOOPBACK.to_ne_bytes());
    // The flags, and which of them to change.
    bytes.extend(UP.to_ne_bytes());
    bytes.extend(UP.to_ne_bytes());
    bytes
}

/// The result in an answer: the header, then the negative number of an error.
fn result(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let number = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, number) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(number)) => Err(io::Errno::from_raw_os_error(-number)),
        _ => Err(io::Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_the_length_that_it_says() {
        let message = message();
        assert_eq!(message.len(), 32);
        assert_eq!(message[..4], 32_u32.to_ne_bytes());
    }

    #[test]
    fn an_answer_is_an_error_or_none() {
        let answer = |number: i32| {
            let mut bytes = vec![0; 4];
            bytes.extend(ERROR.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(number.to_ne_bytes());
            bytes
        };
        assert_eq!(result(&answer(0)), Ok(()));
        assert_eq!(result(&answer(-1)), Err(io::Errno::PERM));
        assert_eq!(result(b"short"), Err(io::Errno::PROTO));
    }
}
