// SPDX-License-Identifier: GPL-2.0

//! The bytes of a packet, run by run.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use crate::bindings;
use core::ptr::NonNull;

/// Bytes of a packet that are in one piece.
///
/// Rust code may not refer to them. Somebody else may be writing them, as when a sender on this
/// machine sends pages of a file.
pub(crate) enum Run {
    /// In the packet's own memory: where, and how many.
    Head(NonNull<u8>, u32),
    /// In a page, or in the pages of a compound page: which, from which offset on, and how many.
    Page(NonNull<bindings::page>, u32, u32),
}

impl Run {
    /// The part of `len` bytes from offset `skip` on, if it is one.
    pub(super) fn part(&self, skip: u32, len: u32) -> Option<Run> {
        if u64::from(skip).wrapping_add(len.into()) > self.len().into() {
            return None;
        }
        Some(match self {
            // SAFETY: The offset is at most the length of the run.
            Run::Head(ptr, _) => Run::Head(unsafe { ptr.add(skip as usize) }, len),
            Run::Page(page, offset, _) => Run::Page(*page, offset.wrapping_add(skip), len),
        })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u32 {
        match self {
            Run::Head(_, len) | Run::Page(_, _, len) => *len,
        }
    }

    /// Where the bytes are mapped, if they are.
    pub(super) fn address(&self) -> Option<NonNull<u8>> {
        match self {
            Run::Head(ptr, _) => Some(*ptr),
            Run::Page(page, offset, _) => {
                // SAFETY: The page is valid as long as the packet is.
                let base = unsafe { bindings::knet_page_address(page.as_ptr()) };
                // SAFETY: The offset lies within the page, which is mapped if it has an address.
                NonNull::new(base.cast()).map(|base| unsafe { base.add(*offset as usize) })
            }
        }
    }
}

/// The runs of a packet, one after the other, and then those of the packets that GRO has merged
/// with it.
///
/// # Invariants
///
/// `skb` is a valid packet: the first one, or, if `merged`, one of those in its list. `shared` is
/// what belongs to the packet.
pub(super) struct Runs {
    skb: NonNull<bindings::sk_buff>,
    shared: *const bindings::skb_shared_info,
    merged: bool,
    /// The packet's own memory was not looked at yet.
    at_head: bool,
    /// Index of the next fragment.
    next: usize,
    /// Bytes that are left out from there on.
    skip: u32,
}

impl Runs {
    /// The runs of `skb` from offset `skip` on.
    ///
    /// # Safety
    ///
    /// The packet is valid as long as the value and the runs are used.
    pub(super) unsafe fn new(skb: NonNull<bindings::sk_buff>, skip: u32) -> Self {
        // INVARIANT: The caller promises that the packet is valid; `shared` is what belongs to it.
        Self {
            skb,
            // SAFETY: The packet is valid, as the caller promises.
            shared: unsafe { bindings::knet_skb_shinfo(skb.as_ptr()) },
            merged: false,
            at_head: true,
            next: 0,
            skip,
        }
    }

    /// The next run, or its first `most` bytes. There is none at the end, or if what follows
    /// cannot be described as a run: memory that the CPU cannot read, and packets merged with one
    /// that was merged itself.
    #[inline]
    pub(super) fn next(&mut self, most: u32) -> Option<Run> {
        match self.next_here(most) {
            Some(run) => Some(run),
            None => self.next_merged(most),
        }
    }

    /// The next run of the current packet.
    #[inline(always)]
    fn next_here(&mut self, most: u32) -> Option<Run> {
        if core::mem::take(&mut self.at_head) {
            let skb = self.skb.as_ptr();
            // SAFETY: The packet is valid by the type invariant.
            let (head, data) = unsafe { ((*skb).len.wrapping_sub((*skb).data_len), (*skb).data) };
            if let Some(len) = head.checked_sub(self.skip).filter(|len| *len > 0) {
                // SAFETY: The packet's own memory has `head` bytes.
                let ptr = unsafe { data.add(self.skip as usize) };
                self.skip = 0;
                return Some(Run::Head(NonNull::new(ptr)?, len.min(most)));
            }
            self.skip = self.skip.wrapping_sub(head);
        }
        while self.next < self.frags() {
            // SAFETY: By the type invariant it is what belongs to a valid packet, with as many
            // fragments as it says.
            let (frag, len, offset) = unsafe {
                let frag = (&raw const (*self.shared).frags).cast::<bindings::skb_frag_t>();
                let frag = frag.add(self.next);
                (frag, (*frag).len, (*frag).offset)
            };
            if self.skip < len {
                // SAFETY: The fragment is valid.
                let page = NonNull::new(unsafe { bindings::knet_skb_frag_page(frag) })?;
                self.next = self.next.wrapping_add(1);
                let skip = core::mem::take(&mut self.skip);
                let len = len.wrapping_sub(skip).min(most);
                return Some(Run::Page(page, offset.wrapping_add(skip), len));
            }
            self.next = self.next.wrapping_add(1);
            self.skip = self.skip.wrapping_sub(len);
        }
        None
    }

    /// Whether somebody on this machine who has sent the current packet may still be writing it.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        // SAFETY: By the type invariant it is what belongs to a valid packet.
        unsafe { (*self.shared).flags & bindings::KNET_SKBFL_SHARED_FRAG != 0 }
    }

    /// Number of fragments of the current packet.
    #[inline]
    fn frags(&self) -> usize {
        // SAFETY: By the type invariant it is what belongs to a valid packet.
        usize::from(unsafe { (*self.shared).nr_frags })
    }

    /// The next run, when the current packet has none.
    #[cold]
    fn next_merged(&mut self, most: u32) -> Option<Run> {
        loop {
            if self.next < self.frags() {
                // Memory that the CPU cannot read.
                return None;
            }
            self.go_on()?;
            if let Some(run) = self.next_here(most) {
                return Some(run);
            }
        }
    }

    /// Goes on to the next packet, if there is one that is not written any more.
    fn go_on(&mut self) -> Option<()> {
        // SAFETY: Packet and shared data are valid by the type invariant. Packets in a list are
        // valid as long as the first one is.
        let next = unsafe {
            let list = (*self.shared).frag_list;
            match (self.merged, list.is_null()) {
                (false, _) => list,
                (true, true) => bindings::knet_skb_merged_next(self.skb.as_ptr()),
                (true, false) => return None,
            }
        };
        // INVARIANT: It is in the list of the first packet, and `shared` is what belongs to it.
        self.skb = NonNull::new(next)?;
        // SAFETY: The packet is valid.
        self.shared = unsafe { bindings::knet_skb_shinfo(next) };
        self.merged = true;
        self.at_head = true;
        self.next = 0;
        (!self.is_shared()).then_some(())
    }
}
