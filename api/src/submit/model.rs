//! Choosing the network for a job from what the workers have.

use remaster_shared::catalogue::{AUTO, Kind, ModelInfo, resolve};
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{EnhanceParams, FaceMode, ModelId, Scale};

use crate::fleet::Fleet;
use crate::parse::option_spec::MODEL;
use crate::problem::{ApiResult, Problem};
use crate::state::Api;

/// The cost of a model that the manifest does not have: that of the usual one.
const UNKNOWN_COST: f64 = 1.0;

/// The parameters with `auto` replaced by a model that some worker has, and the model's cost ([`remaster_store::NewJob::cost`]).
///
/// # Errors
/// 400 `invalid_parameter` when the model does not exist, 503 `model_unavailable` when no worker has it or faces are required
/// and cannot be restored, and 503 when the store does not answer.
pub async fn choose_model(api: &Api, params: EnhanceParams) -> ApiResult<(EnhanceParams, f64)> {
    let fleet = api.fleet.current().await?;
    let models = if params.faces == FaceMode::Require { &fleet.restoring } else { &fleet.models };
    if params.faces == FaceMode::Require && !models.iter().any(|model| model.installed) {
        let detail = "Face restoration is not installed, and faces is require; use faces=auto to go on without.";
        return Err(Problem::new(ErrorCode::ModelUnavailable, detail));
    }
    let background = params.background && api.settings.use_realesrgan;
    let model = match params.denoise {
        Some(_) if !params.background => {
            let detail = "denoise is given with background=false, and only the network removes noise.";
            return Err(Problem::new(ErrorCode::InvalidParameter, detail));
        }
        Some(_) if background => denoiser(&fleet, &params)?,
        None if background => upscaler(models, &fleet.models, &params.model, params.scale)?,
        _ => params.model,
    };
    let cost = fleet.models.iter().find(|known| known.id == model.as_str()).and_then(|known| known.cost);
    let denoise = params.denoise.filter(|_| background);
    Ok((EnhanceParams { model, background, denoise, ..params }, cost.unwrap_or(UNKNOWN_COST)))
}

/// The upscaler for `asked` of those in `models`; `all` are those of all workers.
fn upscaler(models: &[ModelInfo], all: &[ModelInfo], asked: &ModelId, scale: Scale) -> ApiResult<ModelId> {
    if let Some(model) = resolve(models, asked, scale) {
        return Ok(model);
    }
    let is_known =
        asked.as_str() == AUTO || all.iter().any(|model| model.id == asked.as_str() && model.kind == Kind::Upscaler);
    if is_known {
        let detail = format!(
            "The model {asked} is on no worker now that can do the rest of the job; GET /models lists what is there."
        );
        Err(Problem::new(ErrorCode::ModelUnavailable, detail))
    } else {
        let accepts = "auto or the id of an upscaler (GET /models lists them)";
        Err(Problem::parameter(MODEL.name, asked.as_str(), accepts))
    }
}

/// The upscaler that can be told how much noise to remove. One worker has to have it, its weak denoiser, and whatever else the job needs.
fn denoiser(fleet: &Fleet, params: &EnhanceParams) -> ApiResult<ModelId> {
    let able = if params.faces == FaceMode::Require { &fleet.restoring_denoisers } else { &fleet.denoisers };
    let asked = &params.model;
    let is_auto = asked.as_str() == AUTO;
    if let Some(model) = able.iter().find(|model| is_auto || *model == asked) {
        return Ok(model.clone());
    }
    let can = |model: &&ModelInfo| model.weak_denoiser.is_some();
    let known: Vec<_> = fleet.models.iter().filter(can).map(|model| model.id.as_str()).collect();
    if is_auto || known.contains(&asked.as_str()) {
        let detail =
            format!("denoise takes {} together with its weak denoiser, and no worker has both now.", known.join(", "));
        Err(Problem::new(ErrorCode::ModelUnavailable, detail))
    } else {
        let known = known.join(", ");
        let detail =
            format!("denoise is given, and the model {asked} cannot be told how much noise to remove; {known} can.");
        Err(Problem::new(ErrorCode::InvalidParameter, detail))
    }
}
