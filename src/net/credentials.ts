// Name and password in a URL.

/** A "%" that begins no code stays, as in Python: passwords hold it. */
const decoded = (text: string) =>
  text.replace(/(?:%[0-9a-f]{2})+/gi, (codes) => {
    try {
      return decodeURIComponent(codes);
    } catch {
      return codes;
    }
  });

/** Both are empty where the URL holds none. */
export function credentialsOf({ username, password }: URL): { user: string; password: string } {
  return { user: decoded(username), password: decoded(password) };
}

/** The value of an `authorization` header. */
export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
