export declare const SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema";
export declare function jsonSchema(): Record<string, unknown>;
