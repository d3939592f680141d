using System.Globalization;
using System.Reflection;

namespace UringBpf.Fuzz;

/// <summary>What every verb takes.</summary>
/// <param name="Count">Cases to run.</param>
/// <param name="Seed">Case i depends on this and on i alone.</param>
/// <param name="Seconds">Time after which no further case starts.</param>
/// <param name="First">The number of the first case.</param>
/// <param name="Kernel">Cases that go to the running kernel too.</param>
/// <param name="Off">Optimisations of the JIT that are switched off.</param>
/// <param name="Files">The remaining arguments.</param>
public sealed record FuzzOptions(long Count, ulong Seed, double Seconds, long First, long Kernel, IReadOnlyList<PropertyInfo> Off, IReadOnlyList<string> Files)
{
    /// <summary>Reads arguments; null when they can't be understood.</summary>
    public static FuzzOptions? Parse(IReadOnlyList<string> arguments)
    {
        var options = new FuzzOptions(10_000, 1, double.PositiveInfinity, 0, 0, [], []);
        var files = new List<string>();
        for (var i = 0; i < arguments.Count; i++)
        {
            if (!arguments[i].StartsWith("--", StringComparison.Ordinal))
            {
                files.Add(arguments[i]);
                continue;
            }
            var value = i + 1 < arguments.Count ? arguments[i + 1] : "";
            switch (arguments[i++])
            {
                case "--count" or "--seeds" when long.TryParse(value, CultureInfo.InvariantCulture, out var count): options = options with { Count = count }; break;
                case "--seed" when ulong.TryParse(value, CultureInfo.InvariantCulture, out var seed): options = options with { Seed = seed }; break;
                case "--seconds" when double.TryParse(value, CultureInfo.InvariantCulture, out var seconds): options = options with { Seconds = seconds }; break;
                case "--minutes" when double.TryParse(value, CultureInfo.InvariantCulture, out var minutes): options = options with { Seconds = 60 * minutes }; break;
                case "--first" when long.TryParse(value, CultureInfo.InvariantCulture, out var first): options = options with { First = first }; break;
                case "--kernel" when long.TryParse(value, CultureInfo.InvariantCulture, out var kernel): options = options with { Kernel = kernel }; break;
                case "--without" when Optimisations(value) is { } off: options = options with { Off = off }; break;
                default: return null;
            }
        }
        return options with { Files = files };
    }

    // By name, parted by commas, or all of them.
    private static PropertyInfo[]? Optimisations(string names)
    {
        if (names == "all") return [.. EngineCheck.Optimisations];
        var found = names.Split(',').Select(name => EngineCheck.Optimisations.FirstOrDefault(one => one.Name == name)).ToArray();
        return found.Contains(null) ? null : [.. found.OfType<PropertyInfo>()];
    }
}
