//! All figures, for people.

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::Run;
use crate::{
    measure::{Figure, Row},
    peers::Peer,
    reference,
};

/// Prints a line for each shape and number of workers.
pub(crate) fn print(run: &Run, rows: &[Row]) {
    println!("Nanoseconds per behaviour, best / mean of {}, K = {}", run.rounds, run.k);
    if run.beside_busy_loop {
        println!("beside a busy loop in another process; {} was not", reference::NAME);
    }
    println!("{}", table(rows));
}

fn table(rows: &[Row]) -> Table {
    let peers: Vec<Peer> =
        rows.first().map_or(vec![], |row| row.figures.iter().map(|(peer, _)| *peer).collect());
    // Ratios are boc's time over that of another.
    let others: Vec<Peer> = match peers.contains(&Peer::Boc) {
        true => peers.iter().copied().filter(|peer| *peer != Peer::Boc).collect(),
        false => Vec::new(),
    };

    let mut header = vec!["shape".to_owned(), "n".to_owned(), "workers".to_owned()];
    header.extend(peers.iter().map(|peer| peer.name().to_owned()));
    header.extend(others.iter().map(|peer| format!("boc/{}", peer.name())));
    header.extend([reference::NAME.to_owned(), format!("boc/{}", reference::NAME)]);

    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for row in rows {
        let ratio_to = |peer: Peer| Some(row.figure(Peer::Boc)?.best / row.figure(peer)?.best);
        let mut cells = vec![Cell::new(row.shape.name())];
        cells.extend([row.n.to_string(), row.workers.to_string()].map(right));
        cells.extend(peers.iter().map(|peer| right(figure(row.figure(*peer)))));
        cells.extend(others.iter().map(|peer| right(ratio(ratio_to(*peer)))));
        cells.extend([figure(row.reference), ratio(row.ratio_to_reference())].map(right));
        table.add_row(cells);
    }
    table
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn figure(figure: Option<Figure>) -> String {
    figure.map_or_else(String::new, |Figure { best, mean }| format!("{best:.1} / {mean:.1}"))
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}
