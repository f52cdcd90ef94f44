//! `[pgo]`: how an optimised build is made, and the training that it needs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::domain::plan::PlannedFreeze;
use crate::error::Mistake;
use crate::recipe::place::{Layers, texts};

/// `[pgo]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    compile: String,
    link: String,
    instrument: String,
    #[serde(default)]
    static_library: String,
    #[serde(default)]
    make: Vec<String>,
    freeze: Option<WrittenFreeze>,
    training: Spanned<Vec<Vec<String>>>,
    evaluation_loop: EvaluationLoop,
    max_dropped: usize,
    max_missing: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenFreeze {
    targets: Vec<String>,
    writes: Vec<Spanned<String>>,
    helpers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct EvaluationLoop {
    data: Spanned<String>,
    function: String,
}

/// How an optimised build is made, and the training that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pgo {
    /// Further options of the compiler in a build with a profile.
    pub compile: String,
    /// The linker's.
    pub link: String,
    /// The options of both in the instrumented build.
    pub instrument: String,
    /// Options of the compiler, in place of `compile`, for the static library of a build with a profile: native code.
    pub static_library: String,
    /// Further arguments of make in a build with a profile.
    pub make: Vec<String>,
    /// How the frozen modules are made, if the series has any.
    pub freeze: Option<PlannedFreeze>,
    /// The training: the arguments of each run of the instrumented interpreter. `{jobs}` is the number of
    /// processors, `{training}` the directory of the recipes' own scripts.
    pub training: Vec<Vec<String>>,
    /// The data of the object that holds the evaluation loop: `Python/ceval.gcda`.
    pub evaluation_data: PathBuf,
    /// The function that is the evaluation loop.
    pub evaluation_loop: String,
    /// How many functions at most may lose their data, because these are of another source.
    pub max_dropped: usize,
    /// How many objects at most may have no data.
    pub max_missing: usize,
}

impl Written {
    pub(in crate::recipe) fn check(self, at: &Layers<'_>) -> Result<Pgo, Mistake> {
        let data = self.evaluation_loop.data;
        if Path::new(data.get_ref()).extension().is_none_or(|extension| extension != "gcda") {
            return Err(at.error(&data, format!("`{}` is not a .gcda file of the build tree", data.get_ref())));
        }
        if self.training.get_ref().iter().all(Vec::is_empty) {
            return Err(at.error(&self.training, "`training` is empty: nothing would be recorded"));
        }
        Ok(Pgo {
            compile: self.compile,
            link: self.link,
            instrument: self.instrument,
            static_library: self.static_library,
            make: self.make,
            freeze: self.freeze.map(|freeze| freeze.check(at)).transpose()?,
            training: self.training.into_inner(),
            evaluation_data: data.into_inner().into(),
            evaluation_loop: self.evaluation_loop.function,
            max_dropped: self.max_dropped,
            max_missing: self.max_missing,
        })
    }
}

impl WrittenFreeze {
    fn check(self, at: &Layers<'_>) -> Result<PlannedFreeze, Mistake> {
        for pattern in &self.writes {
            at.glob(pattern, pattern.get_ref())?;
        }
        Ok(PlannedFreeze { targets: self.targets, writes: texts(self.writes), helpers: self.helpers })
    }
}

impl Pgo {
    /// Returns what decides bytes: how the build is made. How a profile is recorded and checked does not, because the
    /// plan names the profile by its digest.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self {
            compile,
            link,
            instrument,
            static_library,
            make,
            freeze,
            training: _,
            evaluation_data: _,
            evaluation_loop: _,
            max_dropped: _,
            max_missing: _,
        } = self;
        json!({
            "compile": compile,
            "link": link,
            "instrument": instrument,
            "static_library": static_library,
            "make": make,
            "freeze": freeze,
        })
    }
}
