import type { AdapterSpec } from "../native/index.js";
/** What a card tells of the run that made the adapter. */
export interface CardRun {
    /** By the names of the options; what is null or undefined is not told. */
    settings: Record<string, unknown>;
    training: TextCounts;
    validation: TextCounts;
    /** Lines of metrics in their order. */
    history: object[];
}
export interface TextCounts {
    texts: number;
    tokens: number;
}
export interface Card {
    spec: AdapterSpec;
    targets: string | string[];
    /** Absolute path of the base's folder or file. */
    base: string;
    run?: CardRun | undefined;
}
/** The hub's name of a folder that huggingface_hub has downloaded. */
export declare function hubName(base: string): string | undefined;
/** README.md beside an adapter: what the hub shows, and how to use the folder. */
export declare function modelCard({ spec, targets, base, run }: Card): string;
