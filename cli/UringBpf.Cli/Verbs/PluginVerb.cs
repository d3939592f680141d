using System.CommandLine;
using System.Globalization;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>
/// uringbpf plugin: the protocol of bpf_conformance. The program comes as hex on standard input, its memory as hex in the
/// argument; r0 goes out as hex. The program is run without verification: this verb is for trusted test programs only.
/// </summary>
internal static class PluginVerb
{
    public static Command Create()
    {
        var memory = new Argument<string>("MEMORY_HEX") { Description = "The program's memory as hex: r1 points to it, r2 is its length.", DefaultValueFactory = _ => "" };
        var engine = Engines.Option();
        var command = new Verb("plugin", "Runs trusted bytecode from standard input, UNVERIFIED, as bpf_conformance asks of its plug-ins.",
            "plugin --engine jit < program.hex", "plugin 00112233 < program.hex")
        { memory, engine };
        command.SetAction(parsed =>
        {
            var bytes = ParseHex(parsed.GetValue(memory)!, "the memory");
            var spec = ProgramSpec.FromBytes("plugin", ParseHex(Console.In.ReadToEnd(), "the program"));
            using var program = Engines.Create(parsed.GetValue(engine)!, UnsafeTrust.Verified(spec, bytes.Length), MapSet.Empty);
            using var context = new ContextMemory(ProgramTypes.Raw, bytes);
            Console.Out.WriteLine(context.Run(program, 1).ToString("x", CultureInfo.InvariantCulture));
            return ExitCode.Fine;
        });
        return command;
    }

    private static byte[] ParseHex(string text, string what)
    {
        var digits = string.Concat(text.Where(character => !char.IsWhiteSpace(character)));
        try
        {
            return Convert.FromHexString(digits);
        }
        catch (FormatException)
        {
            throw new BadInputException($"{what} is not hex: pairs of hexadecimal digits, white space between them.");
        }
    }
}
