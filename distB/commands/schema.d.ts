/** `lowrank schema`: JSON Schema of the YAML configuration, on standard output. */
export declare function run(): Promise<void>;
