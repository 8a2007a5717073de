import type { ResolvedTargets } from "../model/index.js";
import type { AdapterSpec, AdapterTensors } from "../native/index.js";
/** An adapter (LoRA) that was read for a model. */
export interface Adapter {
    folder: string;
    spec: AdapterSpec;
    tensors: AdapterTensors;
    targets: ResolvedTargets;
}
