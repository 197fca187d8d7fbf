import { codeOf, messageOf } from "../../errors/thrown.ts";
import { UsageError } from "../terminal/exitCode.ts";

/** Imports what stands on a package that is the user's to install, as most runs of the command do without it. */
export async function importWith<A>(name: string, who: string, load: () => Promise<A>): Promise<A> {
  try {
    return await load();
  } catch (error) {
    // It is not there; what else goes wrong is a fault of its.
    if (codeOf(error) !== "ERR_MODULE_NOT_FOUND" || !messageOf(error).includes(`package '${name}'`))
      throw error;
    throw new UsageError(`${who} a package: npm install ${name}`, { cause: error });
  }
}
