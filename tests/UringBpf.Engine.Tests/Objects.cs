using System.Reflection;
using UringBpf.Bytecode;

namespace UringBpf.Engine.Tests;

/// <summary>The objects compiled from bpf/.</summary>
internal static class Objects
{
    public static byte[] Bytes(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    public static ObjectSpec Load(string name) => ObjectSpec.Load(Bytes(name), name);
}
