//! Files that a later layer replaced or removed.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use crate::report::text::human;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK702",
    name: "hidden-files",
    severity: Severity::Warning,
    what: "A later layer replaces or removes more than 1 MB of a layer.",
    why: "The bytes are pushed, stored and pulled all the same. `RUN chown -R` and `RUN rm` of what a layer before made \
          are the usual causes.",
    remedy: "change and remove files in the layer that makes them, or copy from a builder stage with the right owner",
    judge: Judge::Always(judge),
};

/// What is worth a finding, in bytes.
const MUCH: u64 = 1_000_000;

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let layers = subject.image.layers.iter().enumerate().filter_map(|(index, layer)| {
        let hidden = subject.tree.hidden(index);
        let short = layer.name.get(..19).filter(|_| layer.name.starts_with("sha256:")).unwrap_or(&layer.name);
        (hidden >= MUCH).then(|| {
            Found::of_image(format!("layer {} ({short}) has {} that later layers hide", index + 1, human(hidden)))
        })
    });
    layers.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default().file("/a", 5_000_000).next_layer().file("/b", 5_000_000);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let fixture = Fixture::default().file("/a", 5_000_000).next_layer().file("/a", 5_000_000);
        assert_eq!(fixture.judged(&RULE), ["warning -: layer 1 (layer 0) has 5.0 MB that later layers hide"]);
    }
}
