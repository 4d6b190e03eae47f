//! The steps of a copy.

use super::digest::TableDigest;
use super::side::{Copied, End, Side};
use super::tables::{TABLES, Table};
use super::{CopyError, CopyReport, Phase, Progress, TableReport};
use crate::instance::InstanceState;
use crate::migrations::{self, MIGRATIONS};
use crate::sql::Value;

/// A table with the columns that are copied, which both sides have.
type Plan = Vec<(&'static Table, Vec<String>)>;

pub(super) async fn copy<S: Side, T: Side>(
    from: &S::At,
    to: &T::At,
    note: &str,
    mut progress: impl FnMut(Progress),
) -> Copied<CopyReport> {
    let mut source = S::open(from, End::Source).await?;
    check_schema(&mut source).await?;
    let here = source.found().await?.ok_or_else(|| CopyError::NoInstance(source.shown().to_owned()))?;
    let again = match here.state {
        InstanceState::Live => false,
        InstanceState::Moving(to) if to == note => true,
        InstanceState::Moving(to) => return Err(CopyError::Elsewhere { database: source.shown().to_owned(), to }),
        InstanceState::Moved(to) => return Err(CopyError::Moved { database: source.shown().to_owned(), to }),
    };
    let mut target = T::open(to, End::Target).await?;
    let was_complete = match target.found().await? {
        None => false,
        Some(there) if again && there.instance_id == here.instance_id && there.state == InstanceState::Live => true,
        Some(there) => return Err(not_empty(&target, &there.instance_id)),
    };
    if was_complete {
        check_schema(&mut target).await?;
    } else {
        target.migrate().await?;
        check_empty(&mut target).await?;
    }
    let plan = plan(&mut source, &mut target).await?;

    source.mark_moving(note, again).await?;
    progress(Progress { phase: Phase::Marked, table: "", rows: 0, total: 0 });
    source.begin_reading().await?;
    // Another process may have been faster.
    if source.found().await?.is_none_or(|found| found.state != InstanceState::Moving(note.to_owned())) {
        return Err(CopyError::Marks(source.shown().to_owned()));
    }
    let total = total(&mut source).await?;
    let tables = if was_complete {
        target.begin_reading().await?;
        let tables = compare_again(&mut source, &mut target, &plan, total, &mut progress).await?;
        target.end_reading().await?;
        tables
    } else {
        target.begin_writing().await?;
        if let Some(there) = target.found().await? {
            return Err(not_empty(&target, &there.instance_id));
        }
        check_empty(&mut target).await?;
        for table in TABLES.iter().filter(|table| table.made) {
            target.clear(table).await?;
        }
        let tables = copy_tables(&mut source, &mut target, &plan, total, &mut progress).await?;
        compare(&mut target, &plan, &tables, total, &mut progress).await?;
        target.commit().await?;
        tables
    };
    progress(Progress { phase: Phase::Committed, table: "", rows: total, total });
    source.end_reading().await?;
    source.mark_moved(note).await?;
    Ok(CopyReport { tables, was_complete })
}

pub(super) async fn undo<S: Side, T: Side>(from: &S::At, to: &T::At, note: &str) -> Copied<()> {
    let mut source = S::open(from, End::Source).await?;
    let here = source.found().await?.ok_or_else(|| CopyError::NoInstance(source.shown().to_owned()))?;
    let database = source.shown().to_owned();
    match here.state {
        InstanceState::Moving(to) if to == note => {}
        InstanceState::Moving(to) => return Err(CopyError::Elsewhere { database, to }),
        InstanceState::Moved(to) => return Err(CopyError::TooLate { database, to }),
        InstanceState::Live => return Err(CopyError::NothingToUndo(database)),
    }
    // In a transaction that waits for a copy which is under way: what it commits must be seen.
    let mut target = T::open(to, End::Asked).await?;
    target.begin_writing().await?;
    if target.found().await?.is_some_and(|there| there.instance_id == here.instance_id) {
        return Err(CopyError::Complete { to: note.to_owned() });
    }
    source.mark_live().await
}

/// A copy of a database with another schema would look right and not be.
async fn check_schema(side: &mut impl Side) -> Copied<()> {
    let applied = side.applied().await?;
    if applied.is_empty() {
        return Err(CopyError::NoInstance(side.shown().to_owned()));
    }
    let pending = migrations::pending(&applied, MIGRATIONS, side.shown())?;
    if pending.is_empty() {
        return Ok(());
    }
    Err(CopyError::OlderSchema { database: side.shown().to_owned(), found: applied.len(), known: MIGRATIONS.len() })
}

fn not_empty(side: &impl Side, instance: &str) -> CopyError {
    CopyError::NotEmpty { database: side.shown().to_owned(), what: format!("the instance {instance}") }
}

async fn check_empty(target: &mut impl Side) -> Copied<()> {
    for table in TABLES.iter().filter(|table| !table.made) {
        if target.count(table).await? > 0 {
            let what = format!("rows in the table {}", table.name);
            return Err(CopyError::NotEmpty { database: target.shown().to_owned(), what });
        }
    }
    Ok(())
}

async fn plan(source: &mut impl Side, target: &mut impl Side) -> Copied<Plan> {
    let mut plan = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let columns = table.copied(source.columns(table).await?);
        if columns != table.copied(target.columns(table).await?) {
            let (from, to) = (source.shown().to_owned(), target.shown().to_owned());
            return Err(CopyError::Columns { table: table.name, from, to });
        }
        plan.push((table, columns));
    }
    Ok(plan)
}

async fn total(source: &mut impl Side) -> Copied<u64> {
    let mut total = 0;
    for table in TABLES {
        total += source.count(table).await?;
    }
    Ok(total)
}

async fn copy_tables(
    source: &mut impl Side,
    target: &mut impl Side,
    plan: &Plan,
    total: u64,
    progress: &mut impl FnMut(Progress),
) -> Copied<Vec<TableReport>> {
    let mut progress = Counter { phase: Phase::Copying, rows: 0, total, progress };
    let mut tables = Vec::with_capacity(plan.len());
    for (table, columns) in plan {
        let mut digest = TableDigest::new(table, columns);
        source.open_rows(table, columns).await?;
        target.open_table(table, columns).await?;
        loop {
            let mut rows = source.next_rows().await?;
            if rows.is_empty() {
                break;
            }
            for row in &mut rows {
                raise(table, columns, row);
                digest.row(row);
            }
            target.write_rows(&rows).await?;
            progress.add(table, rows.len());
        }
        target.close_table().await?;
        tables.push(digest.report());
    }
    Ok(tables)
}

/// The number of changes goes on in the target from one more than the source's.
fn raise(table: &Table, columns: &[String], row: &mut [Value]) {
    let Some(raised) = table.raised else { return };
    let at = columns.iter().position(|column| column == raised);
    if let Some(Value::Int(number)) = at.and_then(|at| row.get_mut(at)) {
        *number += 1;
    }
}

/// Reads the target again, where the transaction that filled it sees it.
async fn compare(
    target: &mut impl Side,
    plan: &Plan,
    tables: &[TableReport],
    total: u64,
    progress: &mut impl FnMut(Progress),
) -> Copied<()> {
    let mut progress = Counter { phase: Phase::Comparing, rows: 0, total, progress };
    for ((table, columns), copied) in plan.iter().zip(tables) {
        let found = read(target, table, columns, false, &mut progress).await?;
        if found != *copied {
            return Err(CopyError::Differs { table: table.name, rows: copied.rows, copied: found.rows });
        }
    }
    Ok(())
}

/// Reads both, which should be the same since an earlier run.
async fn compare_again(
    source: &mut impl Side,
    target: &mut impl Side,
    plan: &Plan,
    total: u64,
    progress: &mut impl FnMut(Progress),
) -> Copied<Vec<TableReport>> {
    let mut progress = Counter { phase: Phase::Comparing, rows: 0, total: 2 * total, progress };
    let mut tables = Vec::with_capacity(plan.len());
    for (table, columns) in plan {
        let here = read(source, table, columns, true, &mut progress).await?;
        if read(target, table, columns, false, &mut progress).await? != here {
            let (from, to) = (source.shown().to_owned(), target.shown().to_owned());
            return Err(CopyError::Used { from, to, table: table.name });
        }
        tables.push(here);
    }
    Ok(tables)
}

/// Reads a whole table; of the source as it is in the target.
async fn read<P: FnMut(Progress)>(
    side: &mut impl Side,
    table: &'static Table,
    columns: &[String],
    is_source: bool,
    progress: &mut Counter<'_, P>,
) -> Copied<TableReport> {
    let mut digest = TableDigest::new(table, columns);
    side.open_rows(table, columns).await?;
    loop {
        let mut rows = side.next_rows().await?;
        if rows.is_empty() {
            return Ok(digest.report());
        }
        for row in &mut rows {
            if is_source {
                raise(table, columns, row);
            }
            digest.row(row);
        }
        progress.add(table, rows.len());
    }
}

/// Tells of the rows of a phase.
struct Counter<'a, P> {
    phase: Phase,
    rows: u64,
    total: u64,
    progress: &'a mut P,
}

impl<P: FnMut(Progress)> Counter<'_, P> {
    fn add(&mut self, table: &Table, rows: usize) {
        self.rows += rows as u64;
        (self.progress)(Progress { phase: self.phase, table: table.name, rows: self.rows, total: self.total });
    }
}
