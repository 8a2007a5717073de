// What a Parquet file's footer says about its columns, checked against the file.
import { LowrankError } from "../../base/errors.js";
import { check, checkedSize, Damage } from "./damage.js";
import { noColumn } from "./format.js";
import { readStruct, structOf, structsOf } from "./thrift.js";
const MAGIC = "PAR1";
const PHYSICAL = ["boolean", "int32", "int64", "int96", "float", "double", "byte_array", "fixed_len_byte_array"];
const BYTE_ARRAY = 6;
const REPEATED = 2;
/** Annotations that say that bytes are text: UTF8, ENUM, JSON as the old kind, STRING, ENUM, JSON as the new. */
const OLD_TEXTS = new Set([0, 4, 19]);
const NEW_TEXTS = [1, 4, 12];
async function readFooter(source) {
    check(source.size >= 12, `its ${source.size} bytes are too few for one`);
    const head = (await source.read(0, 4)).toString("latin1");
    const tail = await source.read(source.size - 8, source.size);
    const magic = tail.toString("latin1", 4);
    if (magic === "PARE") {
        const message = `${source.file} is encrypted. Write it without encryption.`;
        throw new LowrankError("E_PARQUET", message, source.file);
    }
    check(head === MAGIC, `it does not begin with ${MAGIC}`);
    check(magic === MAGIC, `it does not end with ${MAGIC}`);
    const length = checkedSize(tail.readUInt32LE(0), source.size - 12, "the length of its metadata");
    return readStruct(await source.read(source.size - 8 - length, source.size - 8)).fields;
}
/** The root's own fields. Elements stand in depth-first order, each with the number of its children. */
function fieldsOf(elements) {
    const childrenOf = (element) => element.has(5) ? checkedSize(element.get(5), elements.length, "a number of columns") : 0;
    const root = elements[0];
    check(root !== undefined, "its metadata lists no columns");
    const fields = [];
    let at = 1;
    let leaves = 0;
    for (let i = childrenOf(root); i > 0; i--) {
        const element = elements[at];
        check(element !== undefined, "its metadata lists fewer columns than announced");
        const name = element.get(4);
        check(name instanceof Uint8Array, "a column has no name");
        const isGroup = childrenOf(element) > 0;
        fields.push({ name: Buffer.from(name).toString("utf8"), element, leaf: leaves, isGroup });
        // The whole subtree is passed over.
        for (let open = 1; open > 0; open--, at++) {
            const one = elements[at];
            check(one !== undefined, "its metadata lists fewer columns than announced");
            const children = childrenOf(one);
            open += children;
            if (children === 0)
                leaves++;
        }
    }
    check(at === elements.length, "its metadata lists more columns than announced");
    return { fields, leaves };
}
function wrongType(field) {
    if (field.isGroup || field.element.get(3) === REPEATED)
        return "a nested type";
    const type = field.element.get(1);
    const old = field.element.get(6);
    const logical = field.element.get(10);
    if (type !== BYTE_ARRAY)
        return PHYSICAL[Number(type)] ?? "an unknown type";
    const isText = logical instanceof Map && logical.size > 0 ? NEW_TEXTS.some((n) => logical.has(n)) : undefined;
    // Bytes without any annotation are what some writers make of texts.
    if (isText ?? (old === undefined || OLD_TEXTS.has(Number(old))))
        return undefined;
    return "byte_array of another kind";
}
function chunkOf(group, leaf, leaves, source) {
    const rows = checkedSize(group.get(3), 2 ** 31, "a row group's number of rows");
    const columns = structsOf(group.get(1), "a row group's list of columns");
    check(columns.length === leaves, `a row group has ${columns.length} columns, the schema ${leaves}`);
    check(!columns[leaf].has(1), "its texts are in another file");
    const column = structOf(columns[leaf].get(3), "a column's description");
    check(column.get(1) === BYTE_ARRAY, "a row group's column is not of the schema's type");
    check(column.get(5) === rows, `a column has ${column.get(5)} values for the ${rows} rows of its group`);
    const data = checkedSize(column.get(9), source.size, "a column's offset");
    // Some writers put 0 where there is no dictionary.
    const dictionary = column.get(11) ? checkedSize(column.get(11), source.size, "a dictionary's offset") : data;
    const start = Math.min(data, dictionary);
    const bytes = checkedSize(column.get(7), source.size - 8 - start, "a column's length");
    const unpackedBytes = checkedSize(column.get(6), Number.MAX_SAFE_INTEGER, "a column's unpacked length");
    return { codec: checkedSize(column.get(4), 255, "a codec"), rows, start, end: start + bytes, unpackedBytes };
}
/** @throws LowrankError E_TEXT_COLUMN, E_DATA_ROW for a column that holds no texts, Damage */
export async function findColumn(source, name) {
    const footer = await readFooter(source);
    const { fields, leaves } = fieldsOf(structsOf(footer.get(2), "the schema"));
    const field = fields.find((one) => one.name === name);
    const { file } = source;
    if (field === undefined) {
        throw noColumn(file, name, fields.map((one) => one.name), file);
    }
    const found = wrongType(field);
    if (found !== undefined) {
        throw new LowrankError("E_DATA_ROW", `${file}: column "${name}" is of ${found}, expected texts.`, file);
    }
    const groups = structsOf(footer.get(4), "the list of row groups");
    const chunks = groups.map((group) => chunkOf(group, field.leaf, leaves, source));
    const rows = chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
    if (footer.get(3) !== rows)
        throw new Damage(`its row groups have ${rows} rows, the file ${footer.get(3)}`);
    return { isOptional: field.element.get(3) === 1, chunks };
}
