export interface FileValue {
    key: string;
    value: unknown;
    /** Such as `run.yaml:3`. */
    where: string;
}
/**
 * The options of a YAML file, one by one with the line they stand on.
 * @throws LowrankError where the file cannot be read or is not one map of options
 */
export declare function readYaml(file: string): FileValue[];
