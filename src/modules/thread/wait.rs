//! Waiting for another thread: a channel has something, or room, or a thread
//! has ended.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::sync::Arc;

use super::passing::{push_message, push_outcome};
use crate::abi::{Cause, Core, Host, Interest, Parked, Step, Token};
use crate::lua::{Error, Functions, Lua, Nanoseconds, Outcome, Returns, UserData, FOREVER};
use crate::states::mailbox::{Mailbox, Refused, Side};
use crate::states::thread::{self, Thread};
use crate::states::Message;

/// What is waited for.
pub enum Goal {
    Nothing,
    Receive(Arc<Mailbox<Message>>),
    Send(Arc<Mailbox<Message>>, Option<Message>),
    Join(Arc<Thread>),
}

/// What came of it.
enum Result {
    Message(Message),
    Sent,
    Joined(Arc<thread::Outcome>),
    Failed(&'static str),
    Pending,
}

impl Goal {
    fn attempt(&mut self) -> Result {
        let refused = match self {
            Goal::Nothing => return Result::Failed("canceled"),
            Goal::Join(thread) => return thread.outcome().map_or(Result::Pending, Result::Joined),
            Goal::Receive(mailbox) => match mailbox.receive() {
                Ok(message) => return Result::Message(message),
                Err(refused) => (refused, mailbox),
            },
            Goal::Send(mailbox, message) => match mailbox.send(message) {
                Ok(()) => return Result::Sent,
                Err(refused) => (refused, mailbox),
            },
        };
        match refused {
            (Refused::Closed, _) => Result::Failed("closed"),
            (Refused::Memory, _) => Result::Failed("not enough memory"),
            (Refused::Busy, mailbox) if mailbox.is_deserted() => Result::Failed("closed"),
            (Refused::Busy, _) => Result::Pending,
        }
    }

    /// Adds the token to those who wait; None when there is no memory.
    fn enter(&self, token: Token) -> Option<u64> {
        match self {
            Goal::Nothing => Some(0),
            Goal::Receive(mailbox) => mailbox.wait(Side::Receiver, token),
            Goal::Send(mailbox, _) => mailbox.wait(Side::Sender, token),
            Goal::Join(thread) => thread.wait(token),
        }
    }

    fn is_entered(&self, number: u64) -> bool {
        match self {
            Goal::Nothing => false,
            Goal::Receive(mailbox) => mailbox.is_waiting(Side::Receiver, number),
            Goal::Send(mailbox, _) => mailbox.is_waiting(Side::Sender, number),
            Goal::Join(thread) => thread.is_waiting(number),
        }
    }

    fn leave(&self, number: u64) {
        match self {
            Goal::Nothing => {}
            Goal::Receive(mailbox) => mailbox.leave(Side::Receiver, number),
            Goal::Send(mailbox, _) => mailbox.leave(Side::Sender, number),
            Goal::Join(thread) => thread.leave(number),
        }
    }
}

/// The wait of a coroutine.
#[repr(C)]
pub struct Wait {
    parked: Parked,
    core: Core,
    goal: RefCell<Goal>,
    /// Among those who wait, 0 for nowhere.
    number: Cell<u64>,
}

crate::operation!(Wait);

impl Wait {
    /// Lets go of everything; a turn that was not taken is passed on.
    fn clear(&self) {
        let number = self.number.replace(0);
        let goal = self.goal.replace(Goal::Nothing);
        goal.leave(number);
    }

    /// The wait is over, its turn taken.
    fn finish(&self) {
        self.number.set(0);
        self.goal.replace(Goal::Nothing);
    }

    fn abandon(&self) {
        self.clear();
    }

    fn attempt(&self, cause: Cause) -> Result {
        if cause.has(Cause::CANCEL) {
            self.clear();
            return Result::Failed("canceled");
        }
        let result = self.goal.borrow_mut().attempt();
        match result {
            Result::Pending if cause.has(Cause::TIMEOUT) => {
                self.clear();
                Result::Failed("timeout")
            }
            Result::Pending if self.enter() => Result::Pending,
            Result::Pending => {
                self.clear();
                Result::Failed("not enough memory")
            }
            Result::Failed(message) => {
                self.clear();
                Result::Failed(message)
            }
            done => {
                // It may be that nobody chose it: then it is not to be chosen.
                let number = self.number.get();
                if self.goal.borrow().is_entered(number) {
                    self.clear();
                }
                self.finish();
                done
            }
        }
    }

    /// Makes sure that it is woken; false when there is no memory for that.
    fn enter(&self) -> bool {
        let goal = self.goal.borrow();
        if goal.is_entered(self.number.get()) {
            return true;
        }
        let Ok(token) = self.core.token(&self.parked) else {
            return false;
        };
        let number = goal.enter(token);
        self.number.set(number.unwrap_or(0));
        number.is_some()
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        match self.attempt(cause) {
            Result::Pending => Step::Pending,
            Result::Sent => {
                lua.push_bool(true);
                Step::Done(1)
            }
            Result::Failed(message) => {
                lua.push_nil();
                lua.push_str(message);
                Step::Done(2)
            }
            Result::Message(message) => {
                let pushed = push_message(lua, &message);
                drop(message);
                Step::Done(or_failure(lua, pushed))
            }
            Result::Joined(outcome) => {
                let pushed = push_outcome(lua, &outcome);
                drop(outcome);
                Step::Done(or_failure(lua, pushed))
            }
        }
    }
}

/// The number of values pushed; `nil, message` if that failed.
fn or_failure(lua: Lua, pushed: std::result::Result<c_int, Error>) -> c_int {
    let Err(error) = pushed else {
        return pushed.unwrap_or(0);
    };
    match error.message() {
        Some(message) => {
            lua.push_nil();
            lua.push_bytes(message);
        }
        None => {
            // The value is on top.
            lua.push_nil();
            lua.insert(-2);
        }
    }
    2
}

impl UserData for Wait {
    const NAME: &'static CStr = c"struct eco_thread_wait *";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
        self.clear();
    }
}

/// Pushes a wait for the object at index `owner`, whose user value `slot` keeps
/// one for the next time. May raise.
pub fn push(lua: Lua, core: Core, owner: c_int, slot: c_int) {
    lua.get_user_value(owner, slot);
    if lua
        .userdata::<Wait>(-1)
        .is_some_and(|wait| !wait.parked.is_held())
    {
        return;
    }
    lua.pop(1);
    lua.reserve::<Wait>(0, core.pointer()).fill(Wait {
        parked: Parked::new::<Wait>(),
        core,
        goal: RefCell::new(Goal::Nothing),
        number: Cell::new(0),
    });
    lua.push_value(-1);
    lua.set_user_value(owner, slot);
}

/// Parks the running coroutine on the wait on top, as the last act of a call,
/// until the goal is reached or time is up, if there is a limit. May raise.
pub fn park(lua: Lua, core: Core, goal: Goal, timeout: Option<Nanoseconds>) -> Outcome {
    let Some(wait) = lua.userdata::<Wait>(-1) else {
        return Err("the wait was collected".into());
    };
    // What it holds is Lua's from now on.
    wait.goal.replace(goal);
    let timeout = timeout.unwrap_or(FOREVER);
    match core.park(lua, wait, -1, Interest::NONE, timeout) {
        Ok(Returns::YIELD) if wait.enter() => Ok(Returns::YIELD),
        Ok(Returns::YIELD) => {
            core.forget(&wait.parked);
            wait.clear();
            Err(lua.out_of_memory())
        }
        refused => {
            wait.clear();
            refused
        }
    }
}
