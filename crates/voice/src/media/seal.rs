//! The one seam between packets and the wire: SRTP will encrypt and verify here. Plain RTP passes as it is.

/// How a session's packets are protected.
#[derive(Debug, Default)]
pub(crate) struct Seal;

impl Seal {
    /// Protects a whole packet that is about to be sent, in place.
    #[expect(clippy::unused_self, reason = "the keys of SRTP will be held here")]
    pub(crate) fn protect(&mut self, _packet: &mut Vec<u8>) {}

    /// The plain packet of what came in, or nothing where it does not verify.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the keys of SRTP will be held here")]
    pub(crate) fn unprotect<'a>(&mut self, packet: &'a [u8]) -> Option<&'a [u8]> {
        Some(packet)
    }
}
