/**
 * A pattern in which `*` stands for any run of characters, none included, and
 * every other character for itself.
 *
 * The first piece must begin the text, the last must end it, and those between
 * are each taken at their first occurrence: if any choice fits, this one does.
 * So there is no going back, and no pattern is slow.
 */
export function compileGlob(pattern: string): (text: string) => boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) {
    return (text) => text === first;
  }
  return (text) => {
    const end = text.length - last.length;
    if (end < first.length || !text.startsWith(first) || !text.endsWith(last)) {
      return false;
    }
    let from = first.length;
    for (const piece of rest) {
      const at = text.indexOf(piece, from);
      if (at < 0 || at + piece.length > end) {
        return false;
      }
      from = at + piece.length;
    }
    return true;
  };
}
