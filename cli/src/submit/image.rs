//! One image: read, submit, wait, download.

use remaster_shared::error::{ErrorCode, Fault, JobError};
use remaster_shared::job::{OutputFormat, Quality, Status};
use sha2::{Digest, Sha256};

use super::client::{Failure, Service};
use super::ended::Ended;
use super::report::Line;
use super::sources::{From, Source};
use crate::args::{JobOptionArgs, SubmitArgs};
use crate::files::persist;

/// How many jobs are made of one image in a run if the service fails.
const TRIES: u32 = 3;
/// How many jobs of earlier runs are looked through for a result.
const EARLIER: u32 = 50;

/// Makes the result of one image.
pub async fn process(service: &Service, args: &SubmitArgs, source: &Source, line: &Line) -> Ended {
    if source.output.exists() && !args.overwrite {
        return Ended::AlreadyThere;
    }
    let read = match &source.from {
        From::File(path) => tokio::fs::read(path).await.map_err(|error| Ended::failed("", error)),
        From::Web(url) => service.fetch(url).await.map_err(Ended::from),
    };
    match read {
        Ok(image) => submit(service, args, (source, &image), line).await.unwrap_or_else(Ended::from),
        Err(ended) => ended,
    }
}

async fn submit(
    service: &Service,
    args: &SubmitArgs,
    (source, image): (&Source, &[u8]),
    line: &Line,
) -> Result<Ended, Failure> {
    let name = source.output.with_extension("").file_name().unwrap_or_default().to_string_lossy().into_owned();
    let options = options(&args.options, args.webhook.as_deref());
    let mut last = Ended::failed("", "the service forgot the job");
    let mut tries = 0;
    for number in 1..=TRIES + EARLIER {
        let key = key(image, &options, &source.output.to_string_lossy(), number);
        let (mut job, replayed) = service.submit(image, (&name, &key), &options).await?;
        tries += u32::from(!replayed);
        while matches!(job.status, Status::Queued | Status::Processing) {
            line.follow(&job);
            job = match service.wait(job.id).await {
                Err(Failure::Refused { code, .. }) if code == ErrorCode::NotFound.as_str() => break,
                waited => waited?,
            };
        }
        match (&job.status, &job.result, &job.error) {
            (Status::Succeeded, Some(result), _) => {
                let temporary = tempfile::NamedTempFile::new()?;
                service.download(job.id, &result.sha256, temporary.path()).await?;
                let kept = persist(&source.output, |file| std::io::copy(&mut temporary.reopen()?, file).map(drop));
                return Ok(match kept {
                    Ok(()) => Ended::Done(Box::new(job)),
                    Err(error) => Ended::failed("", format!("{error:#}")),
                });
            }
            (_, _, Some(JobError { code, message })) if code.fault() == Fault::Caller => {
                return Ok(Ended::failed(code.as_str(), message));
            }
            // The fault was the service's, or the job is of an earlier run and its result is not kept any more: a new job.
            (_, _, Some(JobError { code, message })) => last = Ended::failed(code.as_str(), message),
            (status, ..) => last = Ended::failed("", format!("the job is {status}")),
        }
        if tries == TRIES {
            break;
        }
    }
    Ok(last)
}

/// The options as the service takes them.
fn options(args: &JobOptionArgs, webhook: Option<&str>) -> Vec<(&'static str, String)> {
    let word = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut options = vec![
        ("scale", args.scale.factor().to_string()),
        ("model", args.model.to_string()),
        ("faces", word(serde_json::json!(args.faces))),
        ("face_strength", args.face_strength.to_string()),
        ("background", args.background.to_string()),
        ("metadata", word(serde_json::json!(args.metadata))),
    ];
    // Options that a service of an earlier release does not know are only named where they are used.
    let format = args.format.filter(|format| *format != OutputFormat::default());
    options.extend(format.map(|format| ("format", word(serde_json::json!(format)))));
    options.extend((args.quality != Quality::default()).then(|| ("quality", args.quality.to_string())));
    options.extend(args.max_side.map(|side| ("max_side", side.to_string())));
    options.extend(args.denoise.map(|denoise| ("denoise", denoise.to_string())));
    options.extend((args.grain > 0.0).then(|| ("grain", args.grain.to_string())));
    options.extend(webhook.map(|url| ("webhook_url", url.to_owned())));
    options
}

/// The idempotency key: the same for the same image, options, result and try, in whatever run.
fn key(image: &[u8], options: &[(&'static str, String)], output: &str, number: u32) -> String {
    let mut hash = Sha256::new();
    for part in [output.as_bytes(), &number.to_be_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    for (name, value) in options {
        hash.update(format!("{name}={value}\n"));
    }
    hash.update(image);
    hex::encode(&hash.finalize()[..20])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_result() {
        let options = vec![("scale", "2".to_owned())];
        let same = key(b"image", &options, "out/a.png", 1);
        assert_eq!(same, key(b"image", &options, "out/a.png", 1));
        assert_ne!(same, key(b"other", &options, "out/a.png", 1));
        assert_ne!(same, key(b"image", &options, "out/b.png", 1));
        assert_ne!(same, key(b"image", &options, "out/a.png", 2));
        assert_ne!(same, key(b"image", &[("scale", "4".to_owned())], "out/a.png", 1));
    }
}
