//! How something rolls out, as a form: as usual, all at once, or stages with their budgets.
//!
//! Everything is a field of its own and works without script. What stages need is folded away by the style sheet while
//! something else is chosen.

use maud::{Markup, html};
use serde::Deserialize;

use super::parts::{Choice, Field, choices, field, select_field};
use super::scene::Errors;
use crate::fleet::rollout::{
    Budget, LONGEST_SECONDS, MOST_STAGES, OnFailure, ParseStrategyError, Size, Stage, Strategy,
    StrategyError, Time,
};

/// As the group says, or by default.
const USUAL: &str = "usual";
const AT_ONCE: &str = "at_once";
const STAGES: &str = "stages";
/// So many rows are shown at least.
const FEWEST_ROWS: usize = 4;
/// So many rows come to those that are there.
const MORE_ROWS: usize = 3;

/// One stage as it is typed. A row with nothing in it is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageRow {
    /// How far it goes.
    pub size: String,
    /// How long each agent must stay well.
    pub soak: String,
    /// How long an agent may take.
    pub deadline: String,
}

/// A strategy as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyForm {
    /// `usual`, `at_once` or `stages`.
    pub how: String,
    /// The stages.
    pub rows: Vec<StageRow>,
    /// How many agents may be failed or unproven at once.
    pub at_risk: String,
    /// How many may fail.
    pub tolerate: String,
    /// `roll_back` or `pause`.
    pub on_failure: String,
    /// How long an agent may be silent.
    pub silence: String,
    /// How long an agent may be unhealthy.
    pub grace: String,
}

/// What a form with [`StrategyForm::fields`] posts of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::admin_plane) struct PostedStrategy {
    how: String,
    size: Vec<String>,
    soak: Vec<String>,
    deadline: Vec<String>,
    at_risk: String,
    tolerate: String,
    on_failure: String,
    silence: String,
    grace: String,
}

impl PostedStrategy {
    /// What was typed; as usual where nothing was chosen.
    pub(in crate::admin_plane) fn into_form(self) -> StrategyForm {
        let cell = |column: &[String], at: usize| column.get(at).cloned().unwrap_or_default();
        let row = |(at, size): (usize, &String)| StageRow {
            size: size.clone(),
            soak: cell(&self.soak, at),
            deadline: cell(&self.deadline, at),
        };
        StrategyForm {
            rows: self.size.iter().enumerate().map(row).collect(),
            how: if self.how.is_empty() {
                USUAL.to_owned()
            } else {
                self.how
            },
            at_risk: self.at_risk,
            tolerate: self.tolerate,
            on_failure: self.on_failure,
            silence: self.silence,
            grace: self.grace,
        }
    }
}

impl Default for StrategyForm {
    fn default() -> Self {
        Self::of(None, &Strategy::default_for(2))
    }
}

impl StrategyForm {
    /// The form of what was decided, `None` for as usual. The fields of the stages begin as `usual` has them, or as they
    /// are by default where that has none.
    #[must_use]
    pub fn of(decided: Option<&Strategy>, usual: &Strategy) -> Self {
        let staged = decided.unwrap_or(usual);
        let how = match decided {
            None => USUAL,
            Some(strategy) if *strategy == Strategy::all_at_once() => AT_ONCE,
            Some(_) => STAGES,
        };
        let by_default = Strategy::default_for(2);
        let strategy = if *staged == Strategy::all_at_once() {
            &by_default
        } else {
            staged
        };
        let row = |stage: &Stage| StageRow {
            size: stage.size.to_string(),
            soak: Time(stage.soak_seconds).to_string(),
            deadline: Time(stage.deadline_seconds).to_string(),
        };
        Self {
            how: how.to_owned(),
            rows: strategy.stages.iter().map(row).collect(),
            at_risk: strategy.at_risk.to_string(),
            tolerate: strategy.tolerated_failures.to_string(),
            on_failure: word(strategy.on_failure).to_owned(),
            silence: Time(strategy.silence_seconds).to_string(),
            grace: Time(strategy.grace_seconds).to_string(),
        }
    }

    /// Adds empty rows for further stages.
    pub fn add_rows(&mut self) {
        let rows = self.rows.len().max(FEWEST_ROWS) + MORE_ROWS;
        self.rows.resize(rows.min(MOST_STAGES), StageRow::default());
    }

    /// The strategy that was typed; `None` for as usual.
    ///
    /// # Errors
    /// By field; rows are counted from 0, as in `size-0`.
    pub fn read(&self) -> Result<Option<Strategy>, Errors> {
        match self.how.as_str() {
            USUAL => Ok(None),
            AT_ONCE => Ok(Some(Strategy::all_at_once())),
            STAGES => self.staged().map(Some),
            _ => Err(Errors::at("how", "choose how it goes out")),
        }
    }

    fn staged(&self) -> Result<Strategy, Errors> {
        let mut errors = Errors::default();
        let mut note = |field: &str, error: &dyn std::fmt::Display| errors.add(field, &error.to_string());
        let usual = Strategy::default_for(2);
        let (mut stages, mut rows) = (Vec::new(), Vec::new());
        for (at, row) in self.rows.iter().enumerate() {
            let size = row.size.trim();
            if size.is_empty() {
                if !row.soak.trim().is_empty() || !row.deadline.trim().is_empty() {
                    note(
                        &format!("size-{at}"),
                        &"say how far this stage goes, or empty its other fields too",
                    );
                }
                continue;
            }
            let by_default = Stage::of(Size::All);
            let mut stage = by_default.clone();
            match size.parse() {
                Ok(size) => stage.size = size,
                Err(error) => note(&format!("size-{at}"), &error),
            }
            match time(&row.soak, by_default.soak_seconds) {
                Ok(seconds) => stage.soak_seconds = seconds,
                Err(error) => note(&format!("soak-{at}"), &error),
            }
            match time(&row.deadline, by_default.deadline_seconds) {
                Ok(seconds) => stage.deadline_seconds = seconds,
                Err(error) => note(&format!("deadline-{at}"), &error),
            }
            stages.push(stage);
            rows.push(at);
        }
        let mut strategy = Strategy::of(stages);
        match budget(&self.at_risk, usual.at_risk) {
            Ok(budget) => strategy.at_risk = budget,
            Err(error) => note("at_risk", &error),
        }
        match budget(&self.tolerate, usual.tolerated_failures) {
            Ok(budget) => strategy.tolerated_failures = budget,
            Err(error) => note("tolerate", &error),
        }
        match self.on_failure.as_str() {
            "" | "roll_back" => strategy.on_failure = OnFailure::RollBack,
            "pause" => strategy.on_failure = OnFailure::Pause,
            _ => note("on_failure", &"choose what happens"),
        }
        match time(&self.silence, usual.silence_seconds) {
            Ok(seconds) => strategy.silence_seconds = seconds,
            Err(error) => note("silence", &error),
        }
        match time(&self.grace, usual.grace_seconds) {
            Ok(seconds) => strategy.grace_seconds = seconds,
            Err(error) => note("grace", &error),
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        match strategy.check() {
            Ok(()) => Ok(strategy),
            Err(error) => Err(Errors::at(&place(&error, &strategy, &rows), &error.to_string())),
        }
    }

    /// The fields. `label` stands above the choice, `usual` beside its first possibility with what that comes to.
    #[must_use]
    pub fn fields(&self, label: &str, usual: (&str, &str), errors: &Errors) -> Markup {
        let (usual, comes_to) = usual;
        html! {
            div.strategy {
                (choices(&Field {
                    name: "how",
                    label,
                    value: &self.how,
                    error: errors.field("how").or_else(|| errors.field("strategy")),
                    ..Field::default()
                }, &[
                    Choice { value: USUAL, label: usual, help: comes_to },
                    Choice { value: AT_ONCE, label: "All at once", help: "Nobody waits. Agents that fail are brought back one by one, the others go on." },
                    Choice { value: STAGES, label: "In these stages", help: "Each begins when the agents of the one before have stayed well long enough." },
                ]))
                div.of-stages {
                    (self.stages(errors))
                    (self.budgets(errors))
                }
            }
        }
    }

    fn stages(&self, errors: &Errors) -> Markup {
        let mut rows = self.rows.clone();
        rows.resize(rows.len().max(FEWEST_ROWS), StageRow::default());
        let wrong: Vec<_> = (0..rows.len())
            .flat_map(|at| ["size", "soak", "deadline"].map(|name| format!("{name}-{at}")))
            .filter_map(|id| errors.field(&id).map(|error| (id.clone(), error)))
            .collect();
        let cell = |name: &str, at: usize, value: &str, label: &str| {
            let id = format!("{name}-{at}");
            let is_wrong = errors.field(&id).is_some();
            html! {
                input.mono #(id) name=(name) type="text" value=(value) autocomplete="off" spellcheck="false"
                    aria-label={ (label) " of stage " (at + 1) } aria-invalid=[is_wrong.then_some("true")]
                    aria-describedby=[is_wrong.then(|| format!("{id}-error"))];
            }
        };
        html! {
            fieldset.field.field-error[!wrong.is_empty()] {
                legend { "Stages" }
                p.help { "How far each goes, stages before it included: 1, 10%, all, or a selector such as label.ring = canary. The last takes all. Rows with nothing in them count for nothing. Times are 90s, 5m or 2h." }
                @for (id, error) in &wrong { p.error #{ (id) "-error" } { (error) } }
                div.input.stage-rows {
                    span.head { "How far" } span.head { "Each stays well for" } span.head { "And may take" }
                    @for (at, row) in rows.iter().enumerate() {
                        (cell("size", at, &row.size, "How far"))
                        (cell("soak", at, &row.soak, "How long each stays well"))
                        (cell("deadline", at, &row.deadline, "How long each may take"))
                    }
                }
                @if rows.len() < MOST_STAGES {
                    p.input { button.button.button-small type="submit" name="act" value="rows" formnovalidate { "More rows" } }
                }
            }
        }
    }

    fn budgets(&self, errors: &Errors) -> Markup {
        let short = |name, label, value, help| {
            field(&Field {
                name,
                label,
                value,
                help,
                error: errors.field(name),
                optional: true,
                ..Field::default()
            })
        };
        html! {
            (short("at_risk", "At risk at once", &self.at_risk, "Agents that have failed or have not proved it yet, all together: 2, 5%, or 1+1% for both. Empty: 1+1%."))
            (short("tolerate", "Failures that are tolerated", &self.tolerate, "More than these stop it: 0, 2, 5% or 1+1%. Empty: none."))
            (select_field(&Field {
                name: "on_failure",
                label: "When more fail",
                value: &self.on_failure,
                error: errors.field("on_failure"),
                ..Field::default()
            }, &[
                Choice { value: "roll_back", label: "Bring every agent back to what it had", help: "" },
                Choice { value: "pause", label: "Pause, and bring nobody back", help: "" },
            ]))
            details open[errors.field("silence").or_else(|| errors.field("grace")).is_some()] {
                summary { "When an agent counts as failed" }
                (short("silence", "Silent for", &self.silence, "An agent that polls may be silent five times as long. Empty: 2m."))
                (short("grace", "Unhealthy for", &self.grace, "From when it took the new content. Empty: 30s."))
            }
        }
    }
}

fn word(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::RollBack => "roll_back",
        OnFailure::Pause => "pause",
    }
}

fn time(text: &str, by_default: u64) -> Result<u64, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(by_default);
    }
    let time: Time = text
        .parse()
        .map_err(|error: ParseStrategyError| error.to_string())?;
    if time.0 > LONGEST_SECONDS {
        return Err(StrategyError::TooLong.to_string());
    }
    Ok(time.0)
}

fn budget(text: &str, by_default: Budget) -> Result<Budget, ParseStrategyError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(by_default);
    }
    text.parse()
}

/// The field that has to change. `rows` says in which row each stage was typed.
fn place(error: &StrategyError, strategy: &Strategy, rows: &[usize]) -> String {
    let size = |row: Option<&usize>| format!("size-{}", row.copied().unwrap_or_default());
    match error {
        StrategyError::Stages(_) => size(None),
        StrategyError::LeavesOut => size(rows.last()),
        StrategyError::Nobody(number) | StrategyError::Narrower(number) => {
            size(rows.get(number.saturating_sub(1)))
        }
        StrategyError::Share => {
            let above = |stage: &Stage| matches!(stage.size, Size::Percent(share) if share > 100);
            size(strategy.stages.iter().position(above).and_then(|at| rows.get(at)))
        }
        StrategyError::NoRisk => "at_risk".to_owned(),
        StrategyError::TooLong => "how".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(rows: &[(&str, &str, &str)]) -> StrategyForm {
        let row = |(size, soak, deadline): &(&str, &str, &str)| StageRow {
            size: (*size).to_owned(),
            soak: (*soak).to_owned(),
            deadline: (*deadline).to_owned(),
        };
        StrategyForm {
            how: STAGES.to_owned(),
            rows: rows.iter().map(row).collect(),
            ..StrategyForm::default()
        }
    }

    #[test]
    fn every_strategy_is_read_back_from_its_form_with_its_budgets_and_times() {
        let mut careful: Strategy = "label.ring = canary for 2h; 3 for 90s; all".parse().unwrap();
        careful.at_risk = "2+5%".parse().unwrap();
        careful.tolerated_failures = "1".parse().unwrap();
        careful.on_failure = OnFailure::Pause;
        (careful.silence_seconds, careful.grace_seconds) = (61, 3600);
        careful.stages[1].deadline_seconds = 7200;
        let one_stage: Strategy = "all for 1m".parse().unwrap();
        let usual = Strategy::default_for(20);
        for strategy in [careful, one_stage, Strategy::all_at_once(), usual.clone()] {
            let form = StrategyForm::of(Some(&strategy), &usual);
            assert_eq!(form.read().unwrap(), Some(strategy));
        }
        assert_eq!(StrategyForm::of(None, &usual).read().unwrap(), None);
        let changed = StrategyForm {
            how: STAGES.to_owned(),
            ..StrategyForm::of(None, &usual)
        };
        assert_eq!(changed.read().unwrap(), Some(usual), "stages begin as usual");
    }

    #[test]
    fn what_is_left_empty_is_as_by_default_and_empty_rows_are_none() {
        let mut form = form(&[("1", "", ""), ("", "", ""), ("all", "1m", "")]);
        for field in [
            &mut form.at_risk,
            &mut form.tolerate,
            &mut form.silence,
            &mut form.grace,
        ] {
            field.clear();
        }
        form.on_failure.clear();
        assert_eq!(form.read().unwrap(), Some("1; all for 1m".parse().unwrap()));
    }

    #[test]
    fn each_mistake_is_told_at_its_field_and_all_of_them_at_once() {
        let mut wrong = form(&[
            ("1 for ever", "soon", "5"),
            ("", "1m", ""),
            ("all", "31d", "721h"),
        ]);
        wrong.at_risk = "120%".into();
        wrong.tolerate = "-1".into();
        wrong.on_failure = "pray".into();
        wrong.silence = "2".into();
        let errors = wrong.read().unwrap_err();
        for field in [
            "size-0",
            "soak-0",
            "deadline-0",
            "size-1",
            "soak-2",
            "deadline-2",
            "at_risk",
            "tolerate",
            "on_failure",
            "silence",
        ] {
            assert!(errors.field(field).is_some(), "{field} of {errors:?}");
        }
        let at = |rows: &[(&str, &str, &str)], field: &str| {
            let errors = form(rows).read().unwrap_err();
            assert!(errors.field(field).is_some(), "{field} of {errors:?}");
        };
        at(&[], "size-0");
        at(&[("1", "", ""), ("", "", ""), ("50%", "", "")], "size-2");
        at(
            &[("10%", "", ""), ("", "", ""), ("5%", "", ""), ("all", "", "")],
            "size-2",
        );
        at(&[("0", "", ""), ("all", "", "")], "size-0");
        at(&[("1", "", ""), ("150%", "", ""), ("all", "", "")], "size-1");
        let mut nobody = form(&[("all", "", "")]);
        nobody.at_risk = "0".into();
        assert!(nobody.read().unwrap_err().field("at_risk").is_some());
        nobody.how = "somehow".into();
        assert!(nobody.read().unwrap_err().field("how").is_some());
    }

    #[test]
    fn rows_can_be_added_up_to_the_most_stages() {
        let mut form = form(&[("1", "", ""), ("all", "", "")]);
        for _ in 0..10 {
            form.add_rows();
        }
        assert_eq!(form.rows.len(), MOST_STAGES);
        assert_eq!(form.read().unwrap(), Some("1; all".parse().unwrap()));
    }
}
