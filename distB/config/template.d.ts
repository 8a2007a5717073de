/** @param schema where the JSON Schema is, for editors */
export declare function configTemplate(schema: string): string;
