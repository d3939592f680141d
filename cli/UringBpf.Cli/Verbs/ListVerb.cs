using System.CommandLine;
using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>uringbpf list: what an object holds.</summary>
internal static class ListVerb
{
    public static Command Create()
    {
        var file = ProgramInput.File(orRaw: false);
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Verb("list", "Lists the programs and maps of an object.", "list hook.bpf.o", "list hook.bpf.o --json") { file, json };
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            var spec = ProgramInput.LoadObject(ProgramInput.Read(path), path);
            if (parsed.GetValue(json)) PrintJson(path, spec);
            else PrintTables(spec);
            return ExitCode.Fine;
        });
        return command;
    }

    private static void PrintJson(string path, ObjectSpec spec) => JsonLine.Write(
        ("file", path),
        ("programs", spec.Programs.Select(program => (object?)new (string, object?)[]
        {
            ("name", program.Name), ("section", program.Section), ("type", TypeName(program)), ("instructions", program.OwnInstructions),
        })),
        ("maps", spec.Maps.Select(map => (object?)new (string, object?)[]
        {
            ("name", map.Name), ("type", Names.Of(map.Type)), ("key_size", map.KeySize), ("value_size", map.ValueSize), ("max_entries", map.MaxEntries),
        })));

    private static void PrintTables(ObjectSpec spec)
    {
        Tables.Print(["program", "section", "type", "instructions"],
            spec.Programs.Select(program => new[] { program.Name, program.Section, TypeName(program), $"{program.OwnInstructions}" }), right: [3]);
        if (spec.Maps.IsEmpty) return;
        Console.Out.WriteLine();
        Tables.Print(["map", "type", "key bytes", "value bytes", "max entries"],
            spec.Maps.Select(map => new[] { map.Name, Names.Of(map.Type), $"{map.KeySize}", $"{map.ValueSize}", $"{map.MaxEntries}" }), right: [2, 3, 4]);
    }

    private static string TypeName(ProgramSpec program) => program.Type?.Name ?? "unknown";
}
