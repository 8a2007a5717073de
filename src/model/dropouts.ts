// The dropouts of a base, for people.
import type { Dropouts, ModelSource } from "../native/index.js";

const NAMES: Record<keyof Dropouts, string> = {
  embedding: "embeddings",
  attention: "attention's probabilities",
  attentionOutput: "attention's output",
  mlpOutput: "the MLP's output",
};

/** Such as "0.1 of embeddings, 0.1 of the MLP's output"; undefined where there are none. */
export function dropoutsShown({ config: { dropouts } }: Pick<ModelSource, "config">): string | undefined {
  if (!dropouts) return undefined;
  const parts = Object.entries(NAMES).flatMap(([part, name]) => {
    const rate = dropouts[part as keyof Dropouts];
    return rate > 0 ? [`${rate} of ${name}`] : [];
  });
  return parts.join(", ");
}
