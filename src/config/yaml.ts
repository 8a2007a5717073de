import { LowrankError } from "../base/errors.js";
import { readText } from "../base/system-errors.js";
import { yaml } from "../base/yaml.js";

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
export function readYaml(file: string): FileValue[] {
  const source = readText(file, "--config");
  const { isMap, isNode, isScalar, LineCounter, parseDocument } = yaml();
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines });
  const problem = document.errors[0];
  if (problem) throw new LowrankError("E_CONFIG_FILE", `${file} is not valid YAML: ${problem.message}`, file);
  if (document.contents === null) return [];
  if (!isMap(document.contents)) {
    throw new LowrankError("E_CONFIG_FILE", `${file}: expected options as "name: value", one a line.`, file);
  }
  return document.contents.items.map(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : String(key);
    const line = isScalar(key) && key.range ? lines.linePos(key.range[0]).line : 1;
    const where = `${file}:${line}`;
    try {
      const plain = isNode(value) ? value.toJS(document) : value;
      return { key: name, value: plain ?? undefined, where };
    } catch (error) {
      throw new LowrankError("E_CONFIG_FILE", `${where}: ${name}: ${(error as Error).message}`, where);
    }
  });
}
