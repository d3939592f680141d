using System.CommandLine;
using System.Globalization;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>
/// uringbpf plugin: the protocol of bpf_conformance. The program comes as hex on standard input, its memory as hex in the
/// first argument; r0 goes out as hex. The jit and the interpreter run the program without verification: with them this verb
/// is for trusted test programs only.
/// </summary>
internal static class PluginVerb
{
    public static Command Create()
    {
        var memory = new Argument<string>("MEMORY_HEX") { Description = "The program's memory as hex: r1 points to it, r2 is its length.", DefaultValueFactory = _ => "" };
        var engine = Engines.Option(Engines.All);
        var elf = new Option<bool>("--elf") { Description = "Standard input is an ELF object with one program, not bytecode." };
        var command = new Verb("plugin", "Runs trusted bytecode from standard input, UNVERIFIED, as bpf_conformance asks of its plug-ins.",
            "plugin --engine jit < program.hex", "plugin 00112233 --engine checked < program.hex")
        { memory, engine, elf };
        command.SetAction(parsed =>
        {
            var bytes = ParseHex(parsed.GetValue(memory)!, "the memory");
            var code = ParseHex(Console.In.ReadToEnd(), "the program");
            var spec = (parsed.GetValue(elf) ? FromElf(code) : ProgramSpec.FromBytes("plugin", code)) with { Type = ProgramTypes.Raw, Functions = ConformanceFunctions.Registry.Prototypes };
            var name = parsed.GetValue(engine)!;
            using var maps = MapSet.Create(spec.Maps);
            using var program = name == Engines.Checked
                ? Runner.Checked(spec, maps, ConformanceFunctions.Registry)
                : Runner.Unchecked(name, UnsafeTrust.Verified(spec, bytes.Length), maps, ConformanceFunctions.Registry);
            using var context = new ContextMemory(ProgramTypes.Raw, bytes);
            Console.Out.WriteLine(program.Run(context, 1).ToString("x", CultureInfo.InvariantCulture));
            return ExitCode.Fine;
        });
        return command;
    }

    private static ProgramSpec FromElf(byte[] bytes)
    {
        var programs = ObjectSpec.Load(bytes, "plugin").Programs;
        return programs.Length == 1 ? programs[0] : throw new BadInputException($"the object has {programs.Length} programs; the plug-in runs one.");
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
