//! Pools of senders.

use std::collections::HashSet;

use campaign::{PoolId, PoolSender};
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::save;

/// The most senders of a pool.
const MOST_SENDERS: usize = 200;

/// The settings of a pool, as a person defines them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// The name; unique.
    pub name: String,
    /// The senders, at least one, each with its own rate.
    pub senders: Vec<PoolSender>,
}

impl PoolConfig {
    /// Segments a second that the senders carry together.
    pub fn rate_per_second(&self) -> u32 {
        self.senders.iter().map(|one| one.rate_per_second.get()).fold(0, u32::saturating_add)
    }

    /// What is wrong with the pool by itself.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = save::name_problems(&self.name);
        if self.senders.is_empty() {
            problems.push(Problem::new("senders", "give the pool at least one sender"));
        }
        if self.senders.len() > MOST_SENDERS {
            problems.push(Problem::new("senders", format!("a pool has at most {MOST_SENDERS} senders")));
        }
        let mut seen = HashSet::new();
        for (i, one) in self.senders.iter().enumerate() {
            if !seen.insert(&one.sender) {
                problems.push(Problem::new(
                    format!("senders[{i}].sender"),
                    format!("{} stands twice", one.sender),
                ));
            }
        }
        problems
    }
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// The pool's id.
    pub id: PoolId,
    /// The pool's settings.
    #[serde(flatten)]
    pub config: PoolConfig,
}
