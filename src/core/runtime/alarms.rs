//! Alarms and watches: timers and fds with a function instead of a coroutine.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::{AlarmSlot, Entry, Occasion, Runtime, ALARM, WALL, WATCH};
use crate::abi::{wall_clock, Alarm, Callback, Clock, Nanoseconds, Slot, Watch};
use crate::core::clock::split;
use crate::core::tasks::NO_TIMER;

impl Runtime {
    pub fn set_alarm(
        &self,
        alarm: &Alarm,
        callback: Callback,
        clock: Clock,
        at: Nanoseconds,
    ) -> c_int {
        if self.is_closed() {
            return -(Errno::ECANCELED as c_int);
        }
        self.clear_alarm(alarm);
        if clock == Clock::Wall {
            if let Err(errno) = self.open_wall_fd() {
                return -(errno as c_int);
            }
        }
        let index = match self.claim_alarm(&alarm.0, callback, Occasion::Time(clock)) {
            Ok(index) => index,
            Err(errno) => return -(errno as c_int),
        };
        let timers = match clock {
            Clock::Monotonic | Clock::Idle => &self.timers,
            Clock::Wall => &self.wall_timers,
        };
        if !timers.borrow_mut().insert(index | ALARM, at, self) {
            self.free_alarm(index);
            return -libc::ENOMEM;
        }
        if clock == Clock::Wall {
            self.arm_wall_fd();
        }
        0
    }

    pub fn watch(&self, watch: &Watch, callback: Callback, fd: c_int) -> c_int {
        self.unwatch(watch);
        let claimed = self.claim_alarm(&watch.0, callback, Occasion::Readable(fd));
        let added = claimed.and_then(|index| {
            let added = self.reactor.borrow_mut().add_internal(fd, WATCH + index);
            if added.is_err() {
                self.free_alarm(index);
            }
            added
        });
        added.map_or_else(|errno| -(errno as c_int), |()| 0)
    }

    fn claim_alarm(
        &self,
        place: &Slot,
        callback: Callback,
        occasion: Occasion,
    ) -> Result<u32, Errno> {
        let mut alarms = self.alarms.borrow_mut();
        let index = self.free_alarm.get();
        let mut made = AlarmSlot {
            place,
            callback,
            generation: 0,
            position: NO_TIMER,
            occasion,
            late: false,
        };
        let index = if index == NO_TIMER {
            if alarms.try_reserve(1).is_err() {
                return Err(Errno::ENOMEM);
            }
            alarms.push(made);
            alarms.len() as u32 - 1
        } else {
            let slot = &mut alarms[index as usize];
            self.free_alarm.set(slot.position);
            made.generation = slot.generation;
            *slot = made;
            index
        };
        match occasion {
            Occasion::Time(Clock::Idle) => self.idle_timers.set(self.idle_timers.get() + 1),
            Occasion::Time(_) => self.armed.set(self.armed.get() + 1),
            Occasion::Readable(_) => {}
        }
        place.0.set(index);
        Ok(index)
    }

    pub fn clear_alarm(&self, alarm: &Alarm) {
        self.clear_slot(&alarm.0);
    }

    pub fn unwatch(&self, watch: &Watch) {
        self.clear_slot(&watch.0);
    }

    fn clear_slot(&self, place: &Slot) {
        if place.is_set() {
            let index = place.0.get();
            let (position, occasion) = {
                let slot = &self.alarms.borrow()[index as usize];
                (slot.position, slot.occasion)
            };
            if position != NO_TIMER {
                let timers = match occasion {
                    Occasion::Time(Clock::Wall) => &self.wall_timers,
                    _ => &self.timers,
                };
                timers.borrow_mut().remove(position, self);
            }
            self.free_alarm(index);
        }
    }

    /// Gives a slot back; queued entries for it are void from now on.
    pub(super) fn free_alarm(&self, index: u32) -> Callback {
        let mut alarms = self.alarms.borrow_mut();
        let slot = &mut alarms[index as usize];
        match slot.occasion {
            // A forked child that has not started anew shares its parent's reactor.
            Occasion::Readable(fd) if self.process.get() == std::process::id() => {
                self.reactor.borrow_mut().remove_internal(fd);
            }
            Occasion::Readable(_) => {}
            Occasion::Time(Clock::Idle) => self.idle_timers.set(self.idle_timers.get() - 1),
            Occasion::Time(_) => self.armed.set(self.armed.get() - 1),
        }
        let place = std::mem::replace(&mut slot.place, ptr::null());
        slot.generation = slot.generation.wrapping_add(1);
        slot.position = self.free_alarm.replace(index);
        // SAFETY: a callback is cleared before its owner goes, so that is live.
        unsafe { (*place).free() };
        slot.callback
    }

    pub(super) fn open_wall_fd(&self) -> Result<(), Errno> {
        if self.wall_fd.borrow().is_none() {
            let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
            let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
            let fd = timer.as_fd().as_raw_fd();
            self.reactor.borrow_mut().add_internal(fd, WALL)?;
            *self.wall_fd.borrow_mut() = Some(timer);
        }
        Ok(())
    }

    /// Points the timer fd at the soonest wall-clock alarm; it also reports
    /// when somebody sets the clock.
    pub(super) fn arm_wall_fd(&self) {
        let next = self.wall_timers.borrow().next_deadline();
        if let (Some(timer), Some(at)) = (&*self.wall_fd.borrow(), next) {
            let (seconds, rest) = split(at.max(1));
            let at = TimeSpec::new(seconds as _, rest as _);
            let flags =
                TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
            // Cannot fail: the fd is a timer's and the time is in range.
            let _ = timer.set(Expiration::OneShot(at), flags);
        }
    }

    /// Queues alarms whose date has come.
    pub(super) fn expire_wall(&self) {
        if let Some(timer) = &*self.wall_fd.borrow() {
            // Reading clears the event, whether it fired or the clock was set.
            let mut count = [0; 8];
            let _ = nix::unistd::read(timer.as_fd(), &mut count);
        }
        let now = wall_clock();
        loop {
            let owner = self.wall_timers.borrow_mut().take_expired(now, self);
            match owner {
                Some(owner) => self.enqueue_alarm(owner & !ALARM),
                None => break,
            }
        }
        self.arm_wall_fd();
    }

    pub(super) fn enqueue_alarm(&self, index: u32) {
        let slot = &mut self.alarms.borrow_mut()[index as usize];
        let entry = Entry::of_alarm(index, slot.generation);
        if !self.ready.push(entry) && !self.push_to_full(entry) {
            slot.late = true;
            self.late.set(true);
        }
    }
}
