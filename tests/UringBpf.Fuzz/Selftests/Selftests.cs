using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>
/// The verifier beside the running kernel's, on the kernel's own tests. A program is compared when this engine has its type,
/// functions and map types, and when the kernel's verifier got to see it.
/// </summary>
internal static class Selftests
{
    // What the kernel's root may do and nobody may here: it is compared with the kernel's verdict without CAP_PERFMON.
    private static readonly string[] s_privileged =
        ["UB2102", "UB2117", "UB2118", "UB2204", "UB2205", "UB2201", "UB2313", "UB2502", "UB2303"];

    // Not the program's fault: this engine lacks the function, map or relocation.
    private static readonly string[] s_missing = ["UB2301", "UB2302", "UB2009", "UB2305"];

    private readonly record struct Verdict(bool Accepted, string Why);

    private sealed record Line(string Object, string Program, string Section, Verdict Kernel, Verdict Ours, string Known);

    public static int Run(string root, string noPerfmon, IReadOnlyList<string> objects)
    {
        var kernel = Read(root);
        var unprivileged = Read(noPerfmon);
        var compared = new List<Line>();
        var left = new SortedDictionary<string, int>();
        foreach (var path in objects)
        {
            var name = Path.GetFileName(path);
            IReadOnlyList<ProgramSpec> programs;
            try
            {
                programs = ObjectSpec.Load(File.ReadAllBytes(path), name).Programs;
            }
            catch (BpfException error)
            {
                var count = kernel.Keys.Count(key => key.Object == name);
                Count(left, $"object not loaded here: {error.Code} {error.Reason.Split(':')[0]} ({name})", count);
                continue;
            }
            foreach (var spec in programs)
            {
                if (!kernel.TryGetValue((name, spec.Name), out var theirs)) Count(left, "not seen by the kernel");
                else if (spec.Type is null) Count(left, "program type of the kernel only");
                else if (!theirs.Accepted && theirs.Why is "Operation not permitted" or "Invalid argument") Count(left, "the kernel did not get to verify it (BTF, type or attach point)");
                else
                {
                    var result = ProgramVerifier.Verify(spec, new VerifierOptions { ContextSize = ushort.MaxValue });
                    var ours = new Verdict(result.Accepted, result.Rejection is { } rejection ? $"{rejection.Code} insn {rejection.Instruction}: {rejection.Message}" : "");
                    var known = result.Program is { } program && !theirs.Accepted ? KnownDifference.All.FirstOrDefault(difference => difference.Holds(theirs.Why, program))?.Key : null;
                    if (!ours.Accepted && s_missing.Contains(ours.Why[..6])) Count(left, $"this engine lacks it: {Lacking(ours.Why)}");
                    else compared.Add(new(name, spec.Name, spec.Section, theirs, ours, known ?? "unexplained"));
                }
            }
        }

        var weOnly = compared.Where(line => line.Ours.Accepted && !line.Kernel.Accepted).ToList();
        var theyOnly = compared.Where(line => !line.Ours.Accepted && line.Kernel.Accepted).ToList();
        // Apart: refused here as something that only CAP_PERFMON allows there.
        var privileged = theyOnly.Where(line => s_privileged.Contains(line.Ours.Why[..6])
            && unprivileged.GetValueOrDefault((line.Object, line.Program), new(true, "")) is { Accepted: false }).ToList();
        theyOnly = [.. theyOnly.Except(privileged)];
        var counted = compared.Count - privileged.Count;
        Console.WriteLine($"compared {compared.Count} programs of {objects.Count} objects");
        Console.WriteLine($"  both accept                          {compared.Count(line => line.Ours.Accepted && line.Kernel.Accepted)}");
        Console.WriteLine($"  both reject                          {compared.Count(line => !line.Ours.Accepted && !line.Kernel.Accepted)}");
        Console.WriteLine($"  rejected here and by the kernel without CAP_PERFMON (not counted)  {privileged.Count}");
        Console.WriteLine($"  accepted here, rejected by the kernel  {weOnly.Count}, of which unexplained {weOnly.Count(line => line.Known == "unexplained")}");
        Console.WriteLine($"  rejected here, accepted by the kernel  {theyOnly.Count}");
        Console.WriteLine($"agreement {100.0 * (counted - weOnly.Count - theyOnly.Count) / Math.Max(1, counted):F1} % of {counted}");
        Classes("accepted here, rejected by the kernel, by reason:", weOnly, line => line.Known);
        Classes("rejected here, accepted by the kernel, by reason:", theyOnly, line => line.Ours.Why[..6]);
        Classes("rejected here and by the kernel without CAP_PERFMON, by reason:", privileged, line => line.Ours.Why[..6]);
        Print("accepted here, rejected by the kernel:", [.. weOnly.OrderBy(line => line.Known, StringComparer.Ordinal)], line => $"{line.Known} / the kernel: {line.Kernel.Why}");
        Print("rejected here, accepted by the kernel:", [.. theyOnly.OrderBy(line => line.Ours.Why, StringComparer.Ordinal)], line => line.Ours.Why);
        Print("rejected here and by the kernel without CAP_PERFMON:", privileged,
            line => $"{line.Ours.Why} / the kernel: {unprivileged[(line.Object, line.Program)].Why}");
        Console.WriteLine("not compared:");
        foreach (var (why, count) in left) Console.WriteLine($"  {count,4}  {why}");
        return weOnly.All(line => line.Known != "unexplained") ? 0 : 1;
    }

    // What of the message says the same of many programs.
    private static string Lacking(string why) => why[..6] == "UB2301" ? "function" : why[(why.IndexOf(": ", StringComparison.Ordinal) + 2)..];

    private static void Classes(string title, IReadOnlyList<Line> lines, Func<Line, string> reason)
    {
        if (lines.Count == 0) return;
        Console.WriteLine(title);
        foreach (var group in lines.GroupBy(reason).OrderBy(group => group.Key, StringComparer.Ordinal)) Console.WriteLine($"  {group.Count(),4}  {group.Key}");
    }

    private static void Print(string title, IReadOnlyList<Line> lines, Func<Line, string> why)
    {
        if (lines.Count == 0) return;
        Console.WriteLine(title);
        foreach (var line in lines) Console.WriteLine($"  {line.Object} {line.Program} ({line.Section}): {why(line)}");
    }

    private static void Count(SortedDictionary<string, int> counts, string key, int by = 1) => counts[key] = counts.GetValueOrDefault(key) + by;

    private static Dictionary<(string Object, string Program), Verdict> Read(string file) =>
        File.ReadLines(file).Select(line => line.Split('\t')).Where(parts => parts.Length == 4)
            .ToDictionary(parts => (parts[0], parts[1]), parts => new Verdict(parts[2] == "accept", parts[3]));
}
