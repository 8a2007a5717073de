// The settings of MLflow's own client and of transformers' MLflowCallback, read from the environment.
import { LowrankError } from "../../base/errors.js";
import { basic, credentialsOf } from "../../net/credentials.js";

export interface MlflowSettings {
  /** URL without a slash at its end. */
  uri: string;
  /** Header of the credentials, never shown. */
  authorization: string | undefined;
  experiment: string;
  runId: string | undefined;
  runName: string | undefined;
  tags: Record<string, unknown>;
  logsArtifacts: boolean;
}

type Environment = Record<string, string | undefined>;

function tagsOf(text: string | undefined): Record<string, unknown> {
  try {
    const tags = JSON.parse(text || "{}");
    if (typeof tags === "object" && tags !== null && !Array.isArray(tags)) return tags;
  } catch {}
  throw new LowrankError("E_USAGE", 'MLFLOW_TAGS is no JSON object: expected one such as {"team": "a"}.');
}

/** @throws LowrankError E_USAGE where a run could not report to MLflow, never with a password in it */
export function mlflowSettings(
  { run_name }: { run_name: string | undefined },
  env: Environment = process.env,
): MlflowSettings {
  const uri = (env.MLFLOW_TRACKING_URI ?? "").replace(/\/+$/, "");
  if (!URL.canParse(uri) || !/^https?:/.test(uri)) {
    throw new LowrankError(
      "E_USAGE",
      "Reporting to MLflow needs the URL of a server in MLFLOW_TRACKING_URI, such as http://127.0.0.1:5000; `mlflow server` starts one.",
    );
  }
  const url = new URL(uri);
  const own = credentialsOf(url);
  const user = env.MLFLOW_TRACKING_USERNAME || own.user;
  const password = env.MLFLOW_TRACKING_PASSWORD || own.password;
  url.username = "";
  url.password = "";
  const pair = user ? basic(user, password) : undefined;
  return {
    uri: url.href.replace(/\/+$/, ""),
    authorization: pair ?? (env.MLFLOW_TRACKING_TOKEN ? `Bearer ${env.MLFLOW_TRACKING_TOKEN}` : undefined),
    experiment: env.MLFLOW_EXPERIMENT_NAME || "Default",
    runId: env.MLFLOW_RUN_ID || undefined,
    runName: run_name,
    tags: tagsOf(env.MLFLOW_TAGS),
    logsArtifacts: !/^(0|false|no|off)$/i.test(env.HF_MLFLOW_LOG_ARTIFACTS ?? ""),
  };
}
