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
export const TOKENS = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", pad_token: "<pad>" };
