using System.Runtime.CompilerServices;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>The committed objects that tests/build-objects.sh makes.</summary>
internal static class Corpus
{
    public static readonly int[] Clangs = [14, 16, 19];

    private static readonly string s_folder = Path.Combine(Path.GetDirectoryName(SourceFile())!, "..", "bpf", "out");

    /// <summary>The bytes of <c>out/clang-N/NAME.bpf.o</c>.</summary>
    public static byte[] Bytes(string name, int clang = 19) => File.ReadAllBytes(PathOf(name, clang));

    /// <summary>The object, loaded.</summary>
    public static ObjectSpec Load(string name, int clang = 19, LoadOptions? options = null) =>
        ObjectSpec.Load(Bytes(name, clang), $"{name}.bpf.o", options);

    public static string PathOf(string name, int clang = 19) => Path.Combine(s_folder, $"clang-{clang}", $"{name}.bpf.o");

    /// <summary>Every object of every compiler, as (name, clang).</summary>
    public static IEnumerable<(string Name, int Clang)> All() =>
        from clang in Clangs
        from file in Directory.GetFiles(Path.Combine(s_folder, $"clang-{clang}")).Order()
        select (Path.GetFileName(file)[..^".bpf.o".Length], clang);

    private static string SourceFile([CallerFilePath] string path = "") => path;
}
