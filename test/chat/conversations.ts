// Awkward conversations, as JSON texts: numbers keep their form.
const tools = `[{"type":"function","function":{"name":"get_weather","description":"Weather <b>&</b> \\"wind\\" é","parameters":{"type":"object","properties":{"city":{"type":"string","description":"a city","enum":["a","b"]},"days":{"type":"integer","default":1},"near":{"type":["number","null"],"minimum":0.0},"more":{"type":"array","items":{"type":"string"}},"o":{"type":"object","properties":{"x":{"type":"boolean"}},"required":["x"]}},"required":["city"]}}}]`;
const call = (args: string) =>
  `{"role":"assistant","content":"","tool_calls":[{"type":"function","id":"c12345678","function":{"name":"get_weather","arguments":${args}}}]}`;
const user = (text: string) => `{"role":"user","content":${JSON.stringify(text)}}`;
const assistant = (text: string, more = "") => `{"role":"assistant","content":${JSON.stringify(text)}${more}}`;
const system = (text: string) => `{"role":"system","content":${JSON.stringify(text)}}`;
const chat = (messages: string[], more = "") => `{"messages":[${messages.join(",")}]${more}}`;
const result = `{"role":"tool","name":"get_weather","tool_call_id":"c12345678","content":"{\\"t\\": 1.0}"}`;

export const CONVERSATIONS = [
  chat([user("Hi"), assistant("Hello.")]),
  chat([system("Be brief."), user("Hi"), assistant("Hello."), user("More?"), assistant("No.")]),
  chat([user("Hi")], `,"prompt":true`),
  chat([system(""), user(""), assistant("")]),
  chat([user("  spaces \n"), assistant("\n\n    indented\n  code\n\n  ")]),
  chat([
    user("q"),
    assistant("a", `,"reasoning_content":"\\n  think \\n"`),
    user("q2"),
    assistant("b", `,"thinking":"more"`),
  ]),
  chat([user("q"), assistant("<think>\n  why\n</think>\n\n  because")]),
  chat([user("q"), assistant("<think>x</think>y"), user("q2"), assistant("z</think>  w")]),
  chat(
    [
      user("w?"),
      call(`{"city":"a","near":1.0,"x":null,"b":true,"l":[1,2.50,"é"],"big":12345678901234567890,"e":1e3}`),
      result,
      assistant("Sunny."),
    ],
    `,"tools":${tools}`,
  ),
  chat(
    [system("S"), user("w?"), call(`"{\\"city\\": \\"a\\"}"`), result, result, assistant("Sunny.")],
    `,"tools":${tools}`,
  ),
  chat(
    [
      user("w?"),
      `{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{}}},{"function":{"name":"g","arguments":{"2":1,"1":2}}}]}`,
      result,
      assistant("x"),
    ],
    `,"tools":[],"prompt":true`,
  ),
  chat([user("a"), assistant("b"), assistant("c"), user("d"), user("e"), assistant("f")]),
  chat([assistant("first"), user("a"), assistant("b")]),
  chat([
    user("😀 é \u200b\u00a0x\r\ny"),
    assistant("日本 😀 ok\u2028z"),
    user("<|im_end|>"),
    assistant("{{ x }} {% y %}"),
  ]),
  chat([
    `{"role":"user","content":[{"type":"text","text":"part one"},{"type":"text","text":" two "}]}`,
    `{"role":"assistant","content":[{"type":"text","text":"parts"}]}`,
  ]),
  chat([
    `{"role":"user","content":[{"type":"image"},{"type":"text","text":"see"},{"type":"video"}]}`,
    `{"role":"assistant","content":[{"type":"text","text":"a cat"}]}`,
  ]),
  chat([`{"role":"user","content":12}`, `{"role":"assistant","content":1.0}`]),
  chat([`{"role":"user","content":{"a":1.0,"b":null,"c":[true,"x'y"]}}`, assistant("ok")]),
  chat([`{"role":"developer","content":"dev"}`, user("a"), assistant("b", `,"name":"bot","weight":0`)]),
  chat([user("q"), assistant("a", `,"reasoning":"r"`)], `,"variables":{"enable_thinking":false}`),
  chat(
    [user("q"), assistant("a", `,"reasoning":"r"`), user("q")],
    `,"prompt":true,"variables":{"enable_thinking":true,"reasoning_effort":"high","preserve_thinking":true}`,
  ),
  chat([user("q"), assistant("a")], `,"documents":[{"title":"T","text":"body"}]`),
  chat([`{"content":"no role"}`, assistant("a")]),
  chat([user("x".repeat(20000)), assistant("y ".repeat(20000))]),
  chat([system("s1"), system("s2"), user("a"), assistant("b"), system("s3"), user("c"), assistant("d")]),
  chat(
    [
      user("w?"),
      call(`{"city":"a"}`),
      `{"role":"tool","content":[{"type":"text","text":"r"}]}`,
      call(`{"city":"b","n":{"deep":[{"k":null}]}}`),
      `{"role":"tool","content":{"t":1.5}}`,
      assistant("done", `,"reasoning_content":"because"`),
      user("t"),
      assistant("bye"),
    ],
    `,"tools":${tools}`,
  ),
];

const think = (text: string, more = "") =>
  assistant(text, `,"reasoning_content":${JSON.stringify("because\n\nof it")}${more}`);
const part = (type: string, text: string) => `{"type":"${type}","text":${JSON.stringify(text)}}`;
const calls = (content: string, more = "") =>
  `{"role":"assistant","content":${content},"tool_calls":[{"id":"a1b2c3d4e","type":"function","function":{"name":"get_weather","arguments":{"city":"Zürich \\"x\\"","days":2}}},{"id":"b1b2c3d4e","type":"function","function":{"name":"get_weather","arguments":{"city":"b","nested":{"list":[1,2.0,null,"<&>"]}}}}]${more}}`;
const answer = (content: string, id = "a1b2c3d4e") =>
  `{"role":"tool","tool_call_id":"${id}","name":"get_weather","content":${content}}`;

CONVERSATIONS.push(
  chat([system("  Spaces around.\n\n"), user("\ta\t"), assistant("  b  ")]),
  chat([user("q"), think("a"), user("q2"), think("b"), user("q3"), think("c")]),
  chat([user("q"), think("<think>other</think>a")]),
  chat([user("q"), assistant("<think></think>a"), user("q2"), assistant("<think>\n\n</think>\n\nb")]),
  chat([user("q"), assistant("no start</think>a")]),
  chat([user("q"), assistant("<think>never closed")]),
  chat([user("q"), assistant("</think>"), user("</think>"), assistant("<think>a</think><think>b</think>c")]),
  chat([user("q"), assistant("", `,"reasoning_content":""`)]),
  chat([user("q"), assistant("a", `,"reasoning_content":"x","thinking":"y"`), user("r"), assistant("b")]),
  chat(
    [user("w"), calls('"I look."'), answer('"rain"'), answer('"sun"', "b1b2c3d4e"), assistant("Both.")],
    `,"tools":${tools}`,
  ),
  chat(
    [
      user("w"),
      calls("null", `,"reasoning_content":"need it"`),
      answer('"rain"'),
      think("Rain."),
      user("and?"),
      assistant("No."),
    ],
    `,"tools":${tools}`,
  ),
  chat(
    [user("w"), calls('""', `,"thinking":"t"`), answer('{"t":1.0,"é":null}'), answer("[1,2.50]", "b1b2c3d4e")],
    `,"tools":${tools},"prompt":true`,
  ),
  chat(
    [
      system("S"),
      user("w"),
      calls('"a"'),
      answer('""'),
      answer('"  "', "b1b2c3d4e"),
      user("more"),
      calls('"b"'),
      answer('"x"'),
      assistant(""),
    ],
    `,"tools":${tools}`,
  ),
  chat([user("w"), assistant("a"), user("x")], `,"tools":${tools},"prompt":true`),
  chat([
    user("w"),
    `{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"not json"}}]}`,
    answer("12"),
    assistant("x"),
  ]),
  chat([
    user("w"),
    `{"role":"assistant","content":"c","tool_calls":[]}`,
    user("v"),
    assistant("x", `,"tool_calls":null`),
  ]),
  chat([
    user("w"),
    `{"role":"assistant","content":"c","tool_calls":[{"name":"f","arguments":{"a":true,"b":false,"c":null}}]}`,
    answer("true"),
    assistant("x"),
  ]),
  chat([user("a"), assistant("b")], `,"tools":[{"name":"bare","description":"no function key","parameters":{}}]`),
  chat(
    [user("a"), assistant("b")],
    `,"tools":[{"type":"function","function":{"name":"f","description":"line\\nline","parameters":{"type":"object","properties":{"x":{"type":"string"}}}}},{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}},"return":{"type":"number"}}}]`,
  ),
  chat([
    `{"role":"system","content":[${part("text", "sys ")}]}`,
    `{"role":"user","content":[${part("text", "")},${part("text", " b")}]}`,
    `{"role":"assistant","content":[${part("text", "c")},${part("text", " d ")}]}`,
    user("e"),
    assistant("f"),
  ]),
  chat([`{"role":"user","content":[]}`, assistant("a")]),
  chat([
    `{"role":"user","content":[{"type":"image","image":"x.png"},${part("text", "what")},{"type":"image"}]}`,
    assistant("a"),
    user("b"),
    assistant("c"),
  ]),
  chat([`{"role":"user","content":null}`, assistant("a")]),
  chat([`{"role":"user"}`, assistant("a")]),
  chat([`{"role":"user","content":true}`, `{"role":"assistant","content":-0.5}`]),
  chat([`{"role":"user","content":12345678901234567890}`, `{"role":"assistant","content":1e21}`]),
  chat([user("line\r\nline\rline\u0085line\u2028"), assistant("tab\tquote\"back\\slash'")]),
  chat([user("e\u0301 ﬁ \u0130 ß İ"), assistant("👩‍👩‍👧 🇨🇭 \ud83d\ude00")]),
  chat([user("<|start|>system<|message|>x<|end|>"), assistant("<|im_start|>assistant\n<|eot_id|></s><eos>")]),
  chat([user("{%- raw %}{{ 1 }}{# c #}"), assistant("{{ messages }}")]),
  chat([system("only system")], `,"prompt":true`),
  chat([assistant("a"), assistant("b"), assistant("c")]),
  chat([user("a"), user("b"), assistant("c"), assistant("d"), user("e"), user("f"), assistant("g")]),
  chat([user("a"), assistant("b"), system("late"), user("c"), assistant("d")]),
  chat(
    [`{"role":"developer","content":"D"}`, system("S"), user("a"), assistant("b"), user("c"), assistant("d")],
    `,"tools":${tools}`,
  ),
  chat([
    user("a"),
    `{"role":"ipython","content":"out"}`,
    assistant("b"),
    `{"role":"function","name":"f","content":"x"}`,
    assistant("c"),
  ]),
  chat([user("a"), `{"role":"","content":"x"}`, assistant("b")]),
  chat(Array.from({ length: 60 }, (_, i) => (i % 2 ? assistant(`answer ${i}\n`) : user(` question ${i}`)))),
  chat(
    [user("a"), assistant("b"), user("c")],
    `,"prompt":true,"variables":{"enable_thinking":false,"reasoning_effort":"low","thinking":true,"model_identity":"I am X."}`,
  ),
  chat(
    [user("a"), think("b"), user("c"), think("d")],
    `,"variables":{"preserve_thinking":true,"clear_thinking":false,"keep_past_thinking":true,"thinking":true,"builtin_tools":["browser","python"]}`,
  ),
  chat(
    [user("a"), assistant("b")],
    `,"documents":[{"title":"T \\"1\\"","text":"x\\ny"},{"doc_id":2,"contents":"z"}],"tools":${tools}`,
  ),
);
export const TOKENS = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", pad_token: "<pad>" };
