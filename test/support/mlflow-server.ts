// MLflow on this machine, with MLflow's limits.
import type { ServerResponse } from "node:http";
import { json, type Seen, TrackerServer } from "./tracker-server.js";

interface Run {
  status: string;
  name: string | undefined;
  tags: Record<string, string>;
  params: Map<string, string>;
  metrics: { key: string; value: unknown; step: number; timestamp: number }[];
}

export class MlflowServer extends TrackerServer {
  readonly experiments = new Map<string, string>();
  readonly runs = new Map<string, Run>();
  readonly artifacts = new Map<string, string>();

  protected clear(): void {
    for (const each of [this.experiments, this.runs, this.artifacts]) each.clear();
  }

  protected answer({ method, path, body }: Seen, response: ServerResponse): unknown {
    const url = new URL(path, this.url);
    const artifact = /^\/api\/2\.0\/mlflow-artifacts\/artifacts\/(.*)$/.exec(url.pathname)?.[1];
    if (artifact !== undefined && method === "PUT") {
      this.artifacts.set(artifact, body);
      return json(response, {});
    }
    const asked = method === "POST" ? JSON.parse(body) : Object.fromEntries(url.searchParams);
    switch (url.pathname.replace("/api/2.0/mlflow/", "")) {
      case "experiments/get-by-name": {
        const experiment_id = this.experiments.get(asked.experiment_name);
        if (!experiment_id) return json(response, { error_code: "RESOURCE_DOES_NOT_EXIST" }, 404);
        return json(response, { experiment: { experiment_id } });
      }
      case "experiments/create":
        this.experiments.set(asked.name, "7");
        return json(response, { experiment_id: "7" });
      case "runs/create": {
        const id = `run${this.runs.size}`;
        const tags = Object.fromEntries(asked.tags.map(({ key, value }: Record<string, string>) => [key, value]));
        this.runs.set(id, { status: "RUNNING", name: asked.run_name, tags, params: new Map(), metrics: [] });
        return json(response, { run: { info: this.#info(id) } });
      }
      case "runs/get": {
        const params = [...this.runs.get(asked.run_id)!.params].map(([key, value]) => ({ key, value }));
        return json(response, { run: { info: this.#info(asked.run_id), data: { params } } });
      }
      case "runs/update":
        this.runs.get(asked.run_id)!.status = asked.status;
        return json(response, {});
      case "runs/log-batch":
        return this.#log(this.runs.get(asked.run_id)!, asked, response);
    }
    return json(response, {}, 404);
  }

  #info = (id: string) => ({ run_id: id, experiment_id: "7", artifact_uri: `mlflow-artifacts:/7/${id}/artifacts` });

  #log(
    run: Run,
    { params = [], metrics = [] }: { params?: Record<string, string>[]; metrics?: Run["metrics"] },
    response: ServerResponse,
  ) {
    const isWrong =
      params.length > 100 ||
      metrics.length > 1000 ||
      params.some(({ key, value }) => value!.length > 6000 || (run.params.get(key!) ?? value) !== value) ||
      metrics.some(({ key, value }) => !/^[\p{L}\p{N}_\-.:/ ]+$/u.test(key) || value === null);
    if (isWrong) return json(response, { error_code: "INVALID_PARAMETER_VALUE" }, 400);
    for (const { key, value } of params) run.params.set(key!, value!);
    run.metrics.push(...metrics);
    return json(response, {});
  }
}
