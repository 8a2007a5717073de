// `datetime.strftime` in the C locale, local time.
import { fail } from "./values.js";

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = "January February March April May June July August September October November December".split(" ");
const two = (value: number) => String(value).padStart(2, "0");

export function strftime(format: string, now: Date): string {
  const part: Record<string, () => string> = {
    a: () => DAYS[now.getDay()]!.slice(0, 3),
    A: () => DAYS[now.getDay()]!,
    b: () => MONTHS[now.getMonth()]!.slice(0, 3),
    B: () => MONTHS[now.getMonth()]!,
    d: () => two(now.getDate()),
    e: () => String(now.getDate()).padStart(2),
    F: () => strftime("%Y-%m-%d", now),
    H: () => two(now.getHours()),
    I: () => two(now.getHours() % 12 || 12),
    j: () =>
      String(
        Math.round(
          (Date.UTC(now.getFullYear(), now.getMonth(), now.getDate()) - Date.UTC(now.getFullYear(), 0, 0)) / 864e5,
        ),
      ).padStart(3, "0"),
    m: () => two(now.getMonth() + 1),
    M: () => two(now.getMinutes()),
    p: () => (now.getHours() < 12 ? "AM" : "PM"),
    S: () => two(now.getSeconds()),
    T: () => strftime("%H:%M:%S", now),
    y: () => two(now.getFullYear() % 100),
    Y: () => String(now.getFullYear()),
    "%": () => "%",
  };
  return format.replace(/%(-?)(.)/gsu, (all, short, name) => {
    const text = Object.hasOwn(part, name)
      ? part[name]!()
      : fail(`strftime_now: the directive ${all} is not supported`);
    return short === "-" ? text.replace(/^[0 ]+(?=.)/, "") : text;
  });
}
