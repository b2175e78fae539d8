//! Alarms: timers with a function instead of a coroutine.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::{AlarmSlot, Entry, Runtime, ALARM, WALL, WATCH};
use crate::abi::{wall_clock, Alarm, Clock, Nanoseconds};
use crate::core::clock::split;
use crate::core::tasks::NO_TIMER;

impl Runtime {
    pub fn set_alarm(&self, alarm: &Alarm, clock: Clock, at: Nanoseconds) -> c_int {
        if self.is_closed() {
            return -(Errno::ECANCELED as c_int);
        }
        self.clear_alarm(alarm);
        if clock == Clock::Wall {
            if let Err(errno) = self.open_wall_fd() {
                return -(errno as c_int);
            }
        }
        let index = self.claim_alarm(alarm, clock, -1, false);
        if clock == Clock::Monotonic {
            self.timers.borrow_mut().insert(index | ALARM, at, self);
        } else {
            self.wall_timers
                .borrow_mut()
                .insert(index | ALARM, at, self);
            self.arm_wall_fd();
        }
        0
    }

    /// Sets an alarm on the monotonic clock that does not keep the loop going.
    pub fn set_idle_alarm(&self, alarm: &Alarm, at: Nanoseconds) {
        self.clear_alarm(alarm);
        let index = self.claim_alarm(alarm, Clock::Monotonic, -1, true);
        self.idle_timers.set(self.idle_timers.get() + 1);
        self.timers.borrow_mut().insert(index | ALARM, at, self);
    }

    /// Makes an alarm go off once, when `fd` is readable; until then it does
    /// not keep the loop going. Cleared before the fd is closed.
    pub fn watch(&self, alarm: &Alarm, fd: c_int) -> Result<(), Errno> {
        self.clear_alarm(alarm);
        let index = self.claim_alarm(alarm, Clock::Monotonic, fd, false);
        let added = self.reactor.borrow_mut().add_internal(fd, WATCH + index);
        if added.is_err() {
            self.free_alarm(index);
        }
        added
    }

    pub(super) fn claim_alarm(&self, alarm: &Alarm, clock: Clock, fd: c_int, idle: bool) -> u32 {
        let mut alarms = self.alarms.borrow_mut();
        let mut index = self.free_alarm.get();
        if index == NO_TIMER {
            index = alarms.len() as u32;
            alarms.push(AlarmSlot {
                alarm,
                generation: 0,
                position: NO_TIMER,
                clock,
                fd,
                idle,
            });
        } else {
            let slot = &mut alarms[index as usize];
            self.free_alarm.set(slot.position);
            *slot = AlarmSlot {
                alarm,
                generation: slot.generation,
                position: NO_TIMER,
                clock,
                fd,
                idle,
            };
        }
        alarm.slot.set(index);
        index
    }

    pub fn clear_alarm(&self, alarm: &Alarm) {
        if alarm.is_set() {
            let index = alarm.slot.get();
            let (position, clock) = {
                let slot = &self.alarms.borrow()[index as usize];
                (slot.position, slot.clock)
            };
            if position != NO_TIMER {
                let timers = match clock {
                    Clock::Monotonic => &self.timers,
                    Clock::Wall => &self.wall_timers,
                };
                timers.borrow_mut().remove(position, self);
            }
            self.free_alarm(index);
        }
    }

    /// Gives an alarm's slot back; queued entries for it are void from now on.
    pub(super) fn free_alarm(&self, index: u32) -> *const Alarm {
        let mut alarms = self.alarms.borrow_mut();
        let slot = &mut alarms[index as usize];
        let alarm = slot.alarm;
        // A forked child that has not started anew shares its parent's reactor.
        if slot.fd >= 0 && self.process.get() == std::process::id() {
            self.reactor.borrow_mut().remove_internal(slot.fd);
        }
        if slot.idle {
            self.idle_timers.set(self.idle_timers.get() - 1);
        }
        slot.alarm = ptr::null();
        slot.generation = slot.generation.wrapping_add(1);
        slot.position = self.free_alarm.replace(index);
        // SAFETY: an alarm is cleared before its owner goes, so it is live.
        unsafe { (*alarm).slot.set(u32::MAX) };
        alarm
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
        let generation = self.alarms.borrow()[index as usize].generation;
        self.ready.push(Entry {
            task: ptr::null(),
            generation,
            alarm: index,
        });
    }
}
