using UringBpf.Runtime.Tests;

namespace UringBpf.Fuzz;

/// <summary>The long form of the map stress test.</summary>
internal static class MapFuzzer
{
    private const double DefaultSeconds = 30;

    public static int Run(FuzzOptions options)
    {
        var seconds = double.IsFinite(options.Seconds) ? options.Seconds : DefaultSeconds;
        try
        {
            var operations = MapStress.Run((int)options.Seed, TimeSpan.FromSeconds(seconds));
            Console.WriteLine($"maps: {operations} operations in {seconds} s, nothing torn, lost or foreign");
            return 0;
        }
        catch (InvalidOperationException e)
        {
            Console.WriteLine($"maps: {e.Message}");
            return 1;
        }
    }
}
