/** What a WebAssembly module is made of: the sizes of its functions, by the names that the compiler gave them. */

/**
 * The share of each group in the code and data of `module`, largest first. A function counts where it ended up: what was
 * inlined belongs to the function around it. `groups` are pairs of a name and what the names of its functions look like.
 */
export function shares(module, groups) {
  const { sizes, names, data } = parse(module);
  const sums = new Map([["data: texts and tables", data]]);
  for (const [index, size] of sizes) {
    const [group] = groups.find(([, pattern]) => pattern.test(names.get(index) ?? "")) ?? ["others"];
    sums.set(group, (sums.get(group) ?? 0) + size);
  }
  const total = [...sums.values()].reduce((sum, size) => sum + size);
  return [...sums].map(([name, size]) => [name, size / total]).toSorted(([, a], [, b]) => b - a);
}

function parse(bytes) {
  let at = 8;
  const number = () => {
    for (let [value, shift] = [0, 0]; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const text = () => {
    const length = number();
    return bytes.toString("latin1", at, (at += length));
  };
  const [IMPORTS, CODE, DATA, CUSTOM] = [2, 10, 11, 0];
  const FUNCTION_NAMES = 1;
  const [sizes, names] = [new Map(), new Map()];
  let [imported, data] = [0, 0];
  while (at < bytes.length) {
    const [id, size] = [bytes[at++], number()];
    const end = at + size;
    if (id === IMPORTS) imported = WebAssembly.Module.imports(new WebAssembly.Module(bytes)).filter(({ kind }) => kind === "function").length;
    if (id === DATA) data = size;
    if (id === CODE) {
      const count = number();
      for (let index = 0; index < count; index += 1) {
        const size = number();
        sizes.set(imported + index, size);
        at += size;
      }
    }
    if (id === CUSTOM && text() === "name") {
      while (at < end) {
        const [kind, size] = [bytes[at++], number()];
        const next = at + size;
        if (kind === FUNCTION_NAMES) for (let left = number(); left > 0; left -= 1) names.set(number(), text());
        at = next;
      }
    }
    at = end;
  }
  return { sizes, names, data };
}
