// Options of the library: every row of a run.
import { LowrankError } from "../base/errors.js";
import { messageOf, optional, optionsFrom, shownValue, trainRows, } from "../config/index.js";
import { givenTexts } from "../data/index.js";
import { texts, yesOrNo } from "./arguments.js";
const command = {
    name: "Trainer.create",
    summary: "",
    example: "",
    rows: {
        ...trainRows,
        train_file: optional(trainRows.train_file),
        output_dir: optional(trainRows.output_dir),
        train: texts(", or files in train_file"),
        validation: texts(", or files in validation_file"),
        samples: yesOrNo.or(false),
    },
};
/** @param row its number, from 1. @throws LowrankError E_DATA_ROW */
function textOf(item, name, row) {
    const text = typeof item === "object" && item !== null ? item.text : item;
    if (typeof text === "string")
        return text;
    const found = `text ${row} is ${shownValue(text)}`;
    throw new LowrankError("E_DATA_ROW", `${name}: ${found}, expected a string or { text: string }.`, name);
}
const noTexts = (name) => new LowrankError("E_DATA_EMPTY", `${name}: there are no texts.`, name);
/** What the code of the texts throws. */
function stopped(error, name, row) {
    if (error instanceof LowrankError)
        return error;
    const message = `${name}: reading stopped after ${row} texts: ${messageOf(error)}.`;
    return new LowrankError("E_DATA_ROW", message, name, { cause: error });
}
/** Each text, checked as it comes. @throws LowrankError E_DATA_ROW, E_DATA_EMPTY */
async function* textsOf(texts, name) {
    let row = 0;
    try {
        for await (const item of texts) {
            row++;
            yield textOf(item, name, row);
        }
    }
    catch (error) {
        throw stopped(error, name, row);
    }
    if (row === 0)
        throw noTexts(name);
}
/**
 * A list is checked here and now, other texts as they come.
 * @param name of the argument, for errors
 * @throws LowrankError E_DATA_ROW, E_DATA_EMPTY
 */
export function textSource(texts, name) {
    if (Array.isArray(texts)) {
        if (texts.length === 0)
            throw noTexts(name);
        let row = 0;
        try {
            for (const item of texts)
                textOf(item, name, ++row);
        }
        catch (error) {
            throw stopped(error, name, row);
        }
    }
    return givenTexts(textsOf(texts, name));
}
/** @throws LowrankError E_ARGUMENT, E_USAGE naming everything that is wrong */
export function checkOptions(object) {
    const { options: all, given } = optionsFrom(command, object);
    const { train, validation, samples, ...options } = all;
    const wrong = [];
    const one = (texts, files, name) => {
        if (texts !== undefined && files !== undefined)
            wrong.push([name, `${name} and ${name}_file are both given, expected one of them`]);
        return texts === undefined ? files : textSource(texts, name);
    };
    const from = one(train, options.train_file, "train");
    const held = one(validation, options.validation_file, "validation");
    if (from === undefined)
        wrong.push(["train", "train: missing; expected texts, or files in train_file"]);
    if (options.output_dir === undefined && options.resume !== undefined)
        wrong.push(["resume", "resume: expected output_dir beside it"]);
    if (wrong.length > 0)
        throw new LowrankError("E_USAGE", wrong.map(([, line]) => line).join("; "), wrong[0][0]);
    return {
        options,
        given,
        train: from,
        validation: held,
        samples,
    };
}
